import assert from "node:assert/strict";
import { delay } from "@std/async";
import { Logger } from "../system/logger.ts";
import { FakeLink, type FakeLinkOptions } from "./_fake_link.ts";
import { Acknowledgements, Delivery, OutputRefusedError } from "./delivery.ts";

/** One session's delivery to a server; the first acknowledgement may take 50 ms, later ones 1 s. */
function setUp(options: FakeLinkOptions) {
  const link = new FakeLink(options);
  const stop = new AbortController();
  const { signal } = stop;
  const delivery = new Delivery({
    sessionId: "s",
    link,
    acks: new Acknowledgements(50, 1_000),
    inputs: () => 0,
    logger: new Logger({ write: () => {} }),
    signal,
  });
  return {
    link,
    stop,
    output: (text: string) => delivery.output(new TextEncoder().encode(text)),
    opened: () => delivery.tell("terminal.opened", {}, signal),
  };
}

/** Takes so long for the first event, then next to nothing. */
function slowFirst(firstMs: number): () => number {
  let count = 0;
  return () => count++ === 0 ? firstMs : 1;
}

Deno.test("a slow acknowledgement is waited for where pings are answered", async () => {
  for (const answeredAfterMs of [0, 20]) {
    const { link, output, opened } = setUp({ handlerMs: slowFirst(200) });
    const pinged = delay(answeredAfterMs).then(() => link.acknowledges = true);
    assert.deepEqual(await opened(), { ok: true });
    for (const text of ["a", "b", "c"]) await output(text);
    await pinged;
    assert.deepEqual([link.text("s"), link.mostInFlight, link.unasked], ["abc", 1, 0]);
  }
});

Deno.test("an acknowledgement that comes late is waited for from then on", async () => {
  // On a machine that stood still it has come when the wait is over: then that is tried again.
  let late = setUp({ handlerMs: slowFirst(200) });
  for (let tries = 0; tries < 10 && await late.opened() !== undefined; tries++) {
    late = setUp({ handlerMs: slowFirst(200) });
  }
  const { link, output } = late;
  await output("a");
  assert.equal(link.unasked, 1);
  await link.until(() => link.event("s", "terminal.opened") !== undefined, "terminal.opened");
  for (const text of ["b", "c"]) await output(text);
  assert.deepEqual([link.text("s"), link.unasked], ["abc", 1]);
});

Deno.test("after a reconnect acknowledgements are asked for again", async () => {
  const options = { acks: false };
  const { link, output } = setUp(options);
  for (const text of ["a", "b"]) await output(text);
  assert.equal(link.unasked, 1);
  link.drop();
  options.acks = true;
  await delay(1);
  link.reconnect();
  for (const text of ["c", "d"]) await output(text);
  assert.deepEqual([link.text("s"), link.unasked], ["abcd", 1]);
});

Deno.test("where acknowledgements came, a slow one after a reconnect is waited for", async () => {
  let slow = false;
  const { link, output } = setUp({ handlerMs: () => slow ? 200 : 1 });
  await output("a");
  link.drop();
  link.reconnect();
  slow = true;
  for (const text of ["b", "c"]) {
    await output(text);
    slow = false;
  }
  assert.deepEqual([link.text("s"), link.mostInFlight, link.unasked], ["abc", 1, 0]);
});

Deno.test("where acknowledgements came, their end after a reconnect is noticed", async () => {
  const options = { acks: true };
  const { link, output } = setUp(options);
  await output("a");
  link.drop();
  options.acks = false;
  link.reconnect();
  for (const text of ["b", "c"]) await output(text);
  assert.deepEqual([link.text("s"), link.unasked], ["abc", 1]);
});

Deno.test("the first frame is there once, also if its acknowledgement is lost", async () => {
  const { link, output } = setUp({
    answer: () => {
      if (link.session("s").seq === 0) {
        link.drop();
        queueMicrotask(() => link.reconnect());
      }
      return undefined;
    },
  });
  for (const text of ["a", "b"]) await output(text);
  assert.equal(link.text("s"), "ab");
});

Deno.test("a frame that is refused goes again for two seconds", async () => {
  let refusals = 3;
  const { link, output } = setUp({
    answer: () => refusals-- > 0 ? { ok: false, message: "database is busy" } : undefined,
  });
  await output("a");
  assert.equal(link.text("s"), "a");
  refusals = Infinity;
  await assert.rejects(
    output("b"),
    new OutputRefusedError("the control plane refuses output: database is busy"),
  );
});

Deno.test("what is refused is told again, but not after a stop", async () => {
  let refusals = 2;
  const busy = { ok: false, message: "database is busy" };
  const { link, opened, stop } = setUp({ answer: () => refusals-- > 0 ? busy : { ok: true } });
  assert.deepEqual(await opened(), { ok: true });
  assert.equal(link.session("s").events.length, 3);
  refusals = Infinity;
  assert.deepEqual(await opened(), busy);
  assert.equal(link.session("s").events.length, 7);
  const refused = assert.rejects(opened());
  await link.until(() => link.session("s").events.length === 8, "another one");
  stop.abort();
  await refused;
  assert.equal(link.session("s").events.length, 8);
});
