import assert from "node:assert/strict";
import { Outbox } from "./outbox.ts";

const event = (name: string) => ({ event: name, payload: {} });

Deno.test("metrics are the first to go, and only the newest is kept", () => {
  const outbox = new Outbox(() => 2);
  const [old, fresh] = [event("agent.metrics"), event("agent.metrics")];
  outbox.keepMetrics(old);
  outbox.keepMetrics(fresh);
  assert.equal(outbox.takeMetrics(), fresh);
  assert.equal(outbox.takeMetrics(), undefined);

  outbox.keepMetrics(fresh);
  assert.equal(outbox.add(event("terminal.error")), true);
  assert.equal(outbox.add(event("terminal.exited")), true);
  outbox.keepMetrics(fresh);
  assert.equal(outbox.takeMetrics(), undefined);
  assert.equal(outbox.add(event("terminal.output")), false);
  assert.equal(outbox.add(event("terminal.exited")), true);
});

Deno.test("an event stays until it has arrived, and takes room until it is sent", () => {
  const outbox = new Outbox(() => 2);
  const [a, b] = [event("terminal.exited"), event("terminal.exited")];
  outbox.add(a);
  assert.deepEqual(outbox.takeUnsent(), [a]);
  outbox.add(b);
  assert.deepEqual(outbox.takeUnsent(), [b]);
  outbox.keepMetrics(event("agent.metrics"));
  assert.notEqual(outbox.takeMetrics(), undefined);
  outbox.linkDropped();
  assert.equal(outbox.add(event("terminal.output")), false);
  assert.deepEqual(outbox.takeUnsent(), [a, b]);
  outbox.settle(a);
  outbox.linkDropped();
  assert.deepEqual(outbox.takeUnsent(), [b]);
  assert.equal(outbox.add(event("terminal.output")), true);
});

Deno.test("what must not arrive twice is sent once", () => {
  const outbox = new Outbox(() => 2);
  const [opened, output] = [event("terminal.opened"), event("terminal.output")];
  outbox.add(opened);
  assert.deepEqual(outbox.takeUnsent(), [opened]);
  outbox.add(output);
  outbox.linkDropped();
  assert.deepEqual(outbox.takeUnsent(), [output]);
  outbox.linkDropped();
  assert.deepEqual(outbox.takeUnsent(), []);
  assert.equal(outbox.add(event("terminal.error")), true);
  assert.equal(outbox.add(event("terminal.error")), true);
});
