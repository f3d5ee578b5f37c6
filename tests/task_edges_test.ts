import assert from "node:assert/strict";
import { join } from "@std/path";
import { Fleet } from "./_agent.ts";
import { eventually, livingWith } from "./_processes.ts";

Deno.test("a task that is just being started when the agent has to stop is reported, and not run", async () => {
  await using fleet = await Fleet.start({ shutdown_timeout: "100ms" });
  const { controlPlane: cp } = fleet;
  const proof = join(fleet.folder, "proof");
  await using agent = await fleet.agent();
  const slow = cp.fault({ path: "/started", latencyMs: 3_000 });
  const id = fleet.shell(`: >${proof}; sleep 100`);
  await cp.waitFor(() => slow.hits === 1, { what: "the start" });
  assert.equal((await agent.stop()).code, 0);
  const { status, completion } = cp.task(id);
  assert.equal(status, "failed", cp.describe(id));
  assert.equal(completion?.error, "agent is stopping");
  await assert.rejects(Deno.stat(proof), Deno.errors.NotFound);
  assert.deepEqual(cp.violations, []);
});

Deno.test("a program waits at its gate until the control plane says yes, and a no ends it there", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp } = fleet;
  await using agent = await fleet.agent();
  const proof = join(fleet.folder, "proof");
  const held = cp.fault({ path: "/started", hang: true });
  const id = fleet.shell(`: >${proof}`);
  await cp.waitFor(() => held.hits === 1, { what: "the start" });
  await eventually("the program at its gate", async () => (await livingWith(id)).length === 1);
  held.remove();
  cp.cancelTask(id);
  // The call that is held gets no answer: the next one does.
  await cp.stop();
  await cp.start();
  await agent.waitForLog("task is not run");
  await fleet.closed(id);
  assert.deepEqual(await livingWith(id), []);
  await assert.rejects(Deno.stat(proof), Deno.errors.NotFound);
  assert.deepEqual(cp.violations, []);
});

Deno.test("the time limit ends with the command, whatever its background does with the output", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp } = fleet;
  await using _agent = await fleet.agent();
  // The limit is to be over after the command, within the 2 s in which its output is still read;
  // how long it takes until the command begins is a matter of the machine.
  let beginS = 1;
  await eventually("a command that ends shortly before its limit", async () => {
    const limitS = beginS + 0.5;
    beginS = beginS > 20 ? 1 : beginS + 1.5;
    const id = fleet.shell("sleep 100 & sleep 0.5; echo done", { timeout_seconds: limitS });
    const { status, completion } = await fleet.ended(id);
    const wasSlow = cp.streamText(id, "stdout") === "";
    if (wasSlow || (completion?.durationMs ?? 0) < limitS * 1_000) return false;
    assert.equal(status, "success", cp.describe(id));
    assert.equal(completion?.exitCode, 0);
    assert((await livingWith(id)).length > 0, "what runs in the background is left alone");
    return true;
  });
  assert.deepEqual(cp.violations, []);
});
