import assert from "node:assert/strict";
import { Logger } from "./logger.ts";
import { openNotifier, socketAddress } from "./notify.ts";

function notifier(name: string | undefined) {
  const lines: string[] = [];
  const logger = new Logger({ write: (line) => lines.push(line) });
  return { lines, notifier: openNotifier(() => name, logger) };
}

Deno.test("addresses are what the system takes", () => {
  assert.deepEqual([...socketAddress("/a")], [1, 0, 47, 97, 0]);
  assert.deepEqual([...socketAddress("@a")], [1, 0, 0, 97]);
  assert.equal(socketAddress("/" + "a".repeat(106)).length, 110);
  assert.throws(() => socketAddress("/" + "a".repeat(107)), /too long/);
  for (const bad of ["vsock:2:1", "a", "/", "@"]) assert.throws(() => socketAddress(bad));
});

Deno.test("where no service manager listens nothing is opened", () => {
  for (const name of [undefined, ""]) {
    const { lines, notifier: none } = notifier(name);
    assert.equal(none, undefined);
    assert.deepEqual(lines, []);
  }
});

Deno.test("a socket that is not there, or of no use, is warned of once", () => {
  const foreign = notifier("vsock:2:1234");
  assert.equal(foreign.notifier, undefined);
  assert.match(foreign.lines.join(), /"warn".*cannot be notified.*vsock/);
  const missing = notifier("/nowhere/notify.sock");
  using opened = missing.notifier;
  assert(opened);
  opened.tell("READY=1");
  opened.tell("WATCHDOG=1");
  assert.equal(missing.lines.length, 1);
  assert.match(missing.lines[0] ?? "", /"warn".*cannot be notified.*\/nowhere/);
});
