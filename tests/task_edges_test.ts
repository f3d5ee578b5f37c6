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

Deno.test("the time limit ends with the command, whatever its background does with the output", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp } = fleet;
  await using _agent = await fleet.agent();
  const limitMs = 3_000;
  // The limit is to be over after the command, within the 2 s in which its output is still read.
  await eventually("a command that ends shortly before its limit", async () => {
    const command = "sleep 100 & sleep 1.8; echo done";
    const id = fleet.shell(command, { timeout_seconds: limitMs / 1_000 });
    const { status, completion } = await fleet.ended(id);
    const wasSlow = cp.streamText(id, "stdout") === "";
    if (wasSlow || (completion?.durationMs ?? 0) < limitMs) return false;
    assert.equal(status, "success", cp.describe(id));
    assert.equal(completion?.exitCode, 0);
    assert((await livingWith(id)).length > 0, "what runs in the background is left alone");
    return true;
  });
  assert.deepEqual(cp.violations, []);
});
