import assert from "node:assert/strict";
import { setTimeout as delay } from "@std/async";
import { Logger } from "../system/logger.ts";
import { FakeLink, type FakeLinkOptions } from "./_fake_link.ts";
import { Acknowledgements, Delivery, OutputRefusedError } from "./delivery.ts";

/** One session's delivery to a server; the first acknowledgement may take 50 ms. */
function setUp(options: FakeLinkOptions) {
  const link = new FakeLink(options);
  const { signal } = new AbortController();
  const delivery = new Delivery({
    sessionId: "s",
    link,
    acks: new Acknowledgements(50),
    inputs: () => 0,
    logger: new Logger({ write: () => {} }),
    signal,
  });
  return {
    link,
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
  const { link, output, opened } = setUp({ handlerMs: slowFirst(200) });
  assert.equal(await opened(), undefined);
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
