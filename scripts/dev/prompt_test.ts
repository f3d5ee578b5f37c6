import assert from "node:assert/strict";
import { complete, Prompt } from "./_prompt.ts";
import { Screen } from "./_screen.ts";
import { TaskBoard } from "./_task_board.ts";
import { startControlPlane } from "./control_plane.ts";

Deno.test("the prompt completes commands, types of tasks and numbers", () => {
  assert.deepEqual(complete(":t", 0), [[":task"], ":t"]);
  assert.deepEqual(complete(":task packageR", 0), [["packageRemove"], "packageR"]);
  assert.deepEqual(complete(":cancel ", 2), [["1", "2"], ""]);
  assert.deepEqual(complete("uname", 2), [[], "uname"]);
});

Deno.test("the prompt queues any type of task, queues one again, and cancels", async () => {
  await using controlPlane = await startControlPlane();
  controlPlane.addNode();
  let said = "";
  const screen = new Screen({ write: (text) => said += text, color: false });
  const board = new TaskBoard(controlPlane, screen);
  const prompt = new Prompt({ board, screen, pageUrl: "http://page/", leave: () => {} });
  assert.equal(prompt.obey('  :task packageSearch {"query": "jq"} '), false);
  prompt.obey(":again");
  prompt.obey(":again 9");
  prompt.obey(":task");
  prompt.obey(":task x [1]");
  assert.deepEqual(
    controlPlane.tasks.map(({ type, payload }) => [type, payload]),
    Array(2).fill(["packageSearch", { query: "jq" }]),
  );
  assert.deepEqual(board.active, [1, 2]);
  prompt.obey(":cancel #1");
  prompt.obey(":cancel");
  await board.settled();
  assert.deepEqual(controlPlane.tasks.map(({ status }) => status), ["cancelled", "cancelled"]);
  assert.equal(board.exitCode, 1, "what was cancelled has no exit code and has not gone well");
  prompt.obey(":cancel 1");
  assert.match(said, /#1 queued: packageSearch jq/);
  assert.match(said, /There is no task 9\..*Usage: :task.*is no JSON object: \[1\]/s);
  assert.match(said, /Task #1 has ended already/);
  assert.equal(prompt.obey(":quit"), true);
});
