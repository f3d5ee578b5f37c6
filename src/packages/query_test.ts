import assert from "node:assert/strict";
import { childHost } from "../hosts/child_host.ts";
import { contextOf } from "../tasks/_test_task_context.ts";
import { queriesOf, queriesOfChange } from "./query.ts";

Deno.test("what a change that goes on needs to know is asked, although its task is to end", async () => {
  const { signal } = new AbortController();
  const takenUp = await childHost.start({ taskId: crypto.randomUUID(), argv: ["true"], signal });
  await takenUp.open();
  for await (const _ of takenUp.output);
  await takenUp.ended;
  const context = contextOf({ signal: AbortSignal.abort(new Error("cancelled")) });
  await assert.rejects(queriesOf({ ...context, takenUp })("echo", "a"), { message: "cancelled" });
  await assert.rejects(queriesOfChange(context)("echo", "a"), { message: "cancelled" });
  const { exitCode, stdout } = await queriesOfChange({ ...context, takenUp })("echo", "a");
  assert.deepEqual([exitCode, stdout], [0, "a\n"]);
});
