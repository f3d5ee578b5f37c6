import {
  abortable,
  deadline,
  type DeadlineOptions,
  delay,
  type DelayOptions,
  retry,
  RetryError,
  type RetryOptions,
} from "@std/async";
import assert from "node:assert/strict";

/** True only for types that are the same, optional fields and their types included. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;

interface Documented {
  delay(ms: number, options?: { signal?: AbortSignal; persistent?: boolean }): Promise<void>;
  deadline<T>(p: Promise<T>, ms: number, options?: { signal?: AbortSignal }): Promise<T>;
  abortable: {
    <T>(p: Promise<T>, signal: AbortSignal): Promise<T>;
    <T>(p: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T>;
  };
  retry<T>(fn: (() => Promise<T>) | (() => T), options?: {
    multiplier?: number;
    maxTimeout?: number;
    maxAttempts?: number;
    minTimeout?: number;
    jitter?: number;
    isRetriable?: (err: unknown) => boolean;
  }): Promise<T>;
  RetryError: new (cause: unknown, attempts: number) => Error;
}

/** That this file is type-checked is the test. */
const SIGNATURES: [
  Same<typeof delay, Documented["delay"]>,
  Same<typeof deadline, Documented["deadline"]>,
  Same<typeof abortable, Documented["abortable"]>,
  Same<typeof retry, Documented["retry"]>,
  Same<DelayOptions, NonNullable<Parameters<Documented["delay"]>[1]>>,
  Same<DeadlineOptions, NonNullable<Parameters<Documented["deadline"]>[2]>>,
  Same<RetryOptions, NonNullable<Parameters<Documented["retry"]>[1]>>,
  Same<ConstructorParameters<typeof RetryError>, [cause: unknown, attempts: number]>,
] = [true, true, true, true, true, true, true, true];

const never = () => new Promise<never>(() => {});

Deno.test("@std/async has the documented signatures", () => {
  assert(SIGNATURES.every(Boolean));
  const error: Error = new RetryError("cause", 3);
  assert.equal(error.cause, "cause");
  assert.equal(error.name, "RetryError");
});

Deno.test("delay resolves in time, and rejects with the signal's reason", async () => {
  const startMs = performance.now();
  assert.equal(await delay(20), undefined);
  assert(performance.now() - startMs >= 19);
  const stop = new AbortController();
  const paused = delay(60_000, { signal: stop.signal });
  const reason = new Error("enough");
  stop.abort(reason);
  await assert.rejects(paused, reason);
  await assert.rejects(delay(0, { signal: stop.signal }), reason);
  await assert.rejects(delay(60_000, { signal: AbortSignal.abort() }), { name: "AbortError" });
});

Deno.test("delay takes more time than a timer does", async () => {
  const stop = new AbortController();
  let isOver = false;
  const ended = delay(2 ** 32, { signal: stop.signal }).finally(() => isOver = true);
  await delay(20);
  assert(!isOver);
  stop.abort();
  await assert.rejects(ended, { name: "AbortError" });
});

Deno.test("a delay that is not persistent does not keep the process", async () => {
  const module = import.meta.resolve("./async.ts");
  const script = `import { delay } from "${module}"; delay(600_000, { persistent: false });`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", script] });
  const { code } = await deadline(child.output(), 60_000);
  assert.equal(code, 0);
});

Deno.test("abortable gives what the promise gives, or rejects with the signal's reason", async () => {
  const { signal } = new AbortController();
  assert.equal(await abortable(Promise.resolve("it"), signal), "it");
  await assert.rejects(abortable(Promise.reject(new Error("own")), signal), /own/);
  const stop = new AbortController();
  const held = abortable(never(), stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(held, /enough/);
  // A promise that rejects when nobody waits for it any more is nobody's error.
  await assert.rejects(abortable(Promise.reject(new Error("late")), stop.signal), /enough/);
});

Deno.test("abortable ends an iterable with the signal's reason, and lets go of it", async () => {
  const items = { closed: 0 };
  const endless = async function* () {
    try {
      yield 1;
      yield 2;
      await never();
    } finally {
      items.closed++;
    }
  };
  const stop = new AbortController();
  const seen: number[] = [];
  await assert.rejects(async () => {
    for await (const item of abortable(endless(), stop.signal)) {
      seen.push(item);
      if (item === 2) stop.abort(new Error("enough"));
    }
  }, /enough/);
  assert.deepEqual(seen, [1, 2]);
  for await (const _ of abortable(endless(), new AbortController().signal)) break;
  assert.equal(items.closed, 1);
  await assert.rejects(async () => {
    for await (const item of abortable(endless(), stop.signal)) seen.push(item);
  }, /enough/);
  assert.equal(seen.length, 2);
});

Deno.test("deadline rejects at the limit with a TimeoutError, and with a signal's reason before", async () => {
  assert.equal(await deadline(Promise.resolve(1), 60_000), 1);
  await assert.rejects(deadline(Promise.reject(new Error("own")), 60_000), /own/);
  const late = await deadline(never(), 10).catch((error) => error);
  assert(late instanceof DOMException && late.name === "TimeoutError");
  const stop = new AbortController();
  const held = deadline(never(), 60_000, { signal: stop.signal });
  stop.abort(new Error("enough"));
  await assert.rejects(held, /enough/);
});

Deno.test("retry calls until it works, or throws a RetryError with the last cause", async () => {
  const soon = { minTimeout: 1, maxTimeout: 2 };
  let calls = 0;
  const third = () => {
    if (++calls < 3) throw new Error(`call ${calls}`);
    return calls;
  };
  assert.equal(await retry(third, soon), 3);
  calls = 0;
  const error = await retry(third, { ...soon, maxAttempts: 2 }).catch((thrown) => thrown);
  assert(error instanceof RetryError);
  assert.equal(Error.isError(error.cause) && error.cause.message, "call 2");
  calls = 0;
  const isRetriable = () => false;
  await assert.rejects(retry(third, { ...soon, isRetriable }), { message: "call 1" });
  for (const wrong of [{ maxAttempts: 0 }, { jitter: 2 }, { minTimeout: 9, maxTimeout: 1 }]) {
    await assert.rejects(retry(third, wrong), RangeError);
  }
});

Deno.test("retry pauses grow from minTimeout to maxTimeout; jitter 0 makes them whole", async () => {
  const atMs: number[] = [];
  const fail = () => {
    atMs.push(performance.now());
    throw new Error("no");
  };
  await assert.rejects(
    retry(fail, { minTimeout: 10, maxTimeout: 25, jitter: 0, maxAttempts: 4 }),
    RetryError,
  );
  const pauses = atMs.slice(1).map((ms, at) => ms - (atMs[at] ?? 0));
  assert.equal(pauses.length, 3);
  for (const [at, leastMs] of [10, 20, 25].entries()) assert((pauses[at] ?? 0) >= leastMs - 1);
});
