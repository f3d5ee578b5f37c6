import assert from "node:assert/strict";
import { join } from "./_fake_link.ts";
import {
  gatherMs,
  HIGH_MARK_BYTES,
  LOW_MARK_BYTES,
  MAX_FRAME_BYTES,
  OutputBuffer,
} from "./flow.ts";

Deno.test("the first bytes after a silence go at once, later ones are gathered for 10 ms at most", () => {
  const waiting = { bytes: 1, sinceLastMs: Infinity, urgent: false };
  assert.equal(gatherMs(waiting), 0);
  assert.equal(gatherMs({ ...waiting, sinceLastMs: 0 }), 10);
  assert.equal(gatherMs({ ...waiting, sinceLastMs: 4 }), 6);
  assert.equal(gatherMs({ ...waiting, sinceLastMs: 4, urgent: true }), 0);
  assert.equal(gatherMs({ ...waiting, sinceLastMs: 0, bytes: MAX_FRAME_BYTES }), 0);
  assert.equal(gatherMs({ ...waiting, bytes: 0, urgent: true }), Infinity);
});

Deno.test("frames grow to 49152 bytes and hold every byte in order", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const buffer = new OutputBuffer();
  for (let at = 0; at < bytes.length; at += 777) buffer.push(bytes.slice(at, at + 777));
  buffer.end();
  const frames: Uint8Array[] = [];
  for (let frame; (frame = await buffer.next());) frames.push(frame);
  assert.deepEqual(frames.map(({ length }) => length), [MAX_FRAME_BYTES, 60_000 - MAX_FRAME_BYTES]);
  assert.deepEqual(join(frames), bytes);
  assert.equal(MAX_FRAME_BYTES / 3 * 4, 65_536);
});

Deno.test("what is gathered goes when it is due, when somebody types, and at the end", async () => {
  let nowMs = 1_000;
  const buffer = new OutputBuffer({ now: () => nowMs });
  const text = async () => new TextDecoder().decode(await buffer.next());
  const push = (text: string) => buffer.push(new TextEncoder().encode(text));
  push("a");
  assert.equal(await text(), "a");
  push("b");
  const gathered = text();
  push("c");
  nowMs += 10;
  push("d");
  assert.equal(await gathered, "bcd");
  const echo = text();
  push("e");
  buffer.urge();
  assert.equal(await echo, "e");
  push("f");
  const last = text();
  buffer.end();
  assert.equal(await last, "f");
  assert.equal(await buffer.next(), undefined);
});

Deno.test("it is full above the high mark until it falls below the low one", async () => {
  const told: string[] = [];
  const buffer: OutputBuffer = new OutputBuffer({
    onFull: (full) => told.push(`${full} ${buffer.bytes}`),
  });
  buffer.push(new Uint8Array(HIGH_MARK_BYTES));
  assert.equal(buffer.full, false);
  buffer.push(new Uint8Array(1));
  buffer.push(new Uint8Array(1));
  assert.deepEqual(told, [`true ${HIGH_MARK_BYTES + 1}`]);
  while (buffer.bytes >= LOW_MARK_BYTES) await buffer.next();
  assert.equal(told.length, 2);
  assert.match(told[1] ?? "", /^false/);
});
