import assert from "node:assert/strict";
import { openLibc } from "./libc.ts";
import { openReadiness, readinessClosed, WRITABLE } from "./readiness.ts";

/** A counter of the kernel's: readable once it is not zero. */
function counter() {
  const libc = openLibc();
  const { symbols, check } = libc;
  const fd = check(symbols.eventfd(0, 0), "eventfd");
  return {
    fd,
    raise: () => symbols.write(fd, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]), 8n),
    clear: () => symbols.read(fd, new Uint8Array(8), 8n),
    [Symbol.dispose]: () => {
      symbols.close(fd);
      libc[Symbol.dispose]();
    },
  };
}

/** Has a descriptor be what another one is, in place of what it was. */
function dup2(of: number, number: number): void {
  const own = Deno.dlopen("libc.so.6", { dup2: { parameters: ["i32", "i32"], result: "i32" } });
  assert.equal(own.symbols.dup2(of, number), number);
  own.close();
}

/** A test at whose end no thread waits any more. */
function test(name: string, body: () => Promise<void>): void {
  Deno.test(name, async () => {
    await body();
    await readinessClosed();
  });
}

test("descriptors are waited for together, and each is heard of alone", async () => {
  using readiness = openReadiness();
  using first = counter();
  using second = counter();
  const heard: string[] = [];
  const both = Promise.all([
    readiness.wait(first.fd).then(() => heard.push("first")),
    readiness.wait(second.fd).then(() => heard.push("second")),
  ]);
  second.raise();
  await readiness.wait(second.fd);
  assert.deepEqual(heard, ["second"]);
  first.raise();
  await both;
  assert.deepEqual(heard, ["second", "first"]);
  readiness.forget(first.fd);
  readiness.forget(second.fd);
});

test("one that is readable still is heard of again, and not without a wait", async () => {
  using readiness = openReadiness();
  using one = counter();
  one.raise();
  await readiness.wait(one.fd);
  await readiness.wait(one.fd);
  one.clear();
  await readiness.wait(one.fd, WRITABLE);
  readiness.forget(one.fd);
});

test("to forget one ends the wait for it, closed or not", async () => {
  using readiness = openReadiness();
  const one = counter();
  const waiting = readiness.wait(one.fd);
  readiness.forget(one.fd);
  await waiting;
  const again = readiness.wait(one.fd);
  one[Symbol.dispose]();
  readiness.forget(one.fd);
  await again;
});

test("what was found of a descriptor is not for another that has its number since", async () => {
  using readiness = openReadiness();
  using other = counter();
  using one = counter();
  one.raise();
  const first = readiness.wait(one.fd);
  // The thread that waits has found it by then, and this one has not heard.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  readiness.forget(one.fd);
  using next = counter();
  // It changes hands in one act: a test beside this one could be given the number in between.
  dup2(next.fd, one.fd);
  const heard: string[] = [];
  const second = readiness.wait(one.fd).then(() => heard.push("next"));
  await first;
  other.raise();
  await readiness.wait(other.fd);
  assert.deepEqual(heard, []);
  next.raise();
  await second;
  readiness.forget(one.fd);
  readiness.forget(other.fd);
});

test("the last who lets it go ends all waits", async () => {
  using one = counter();
  const readiness = openReadiness();
  const waiting = readiness.wait(one.fd);
  readiness[Symbol.dispose]();
  await waiting;
});
