import assert from "node:assert/strict";
import { UserError } from "../system/user_error.ts";
import { runSteps, type Step, type Undos } from "./steps.ts";

/** Steps that note what happens to them; `last` is how the third ends. */
function threeSteps(story: string[], last: (undos: Undos) => Promise<unknown>): Step[] {
  const step = (name: string): Step => ({
    name,
    begins: "binary_download_started",
    ends: "binary_downloaded",
    run(undos) {
      story.push(`do ${name}`);
      undos.add(name, () => Promise.resolve(story.push(`undo ${name}`)));
      return Promise.resolve({ told: "done", changed: name === "b" });
    },
  });
  const third: Step = {
    name: "c",
    talks: true,
    async run(undos, changedBefore) {
      undos.add("c", () => Promise.reject(new Error("it is stuck")));
      undos.addLast("all", () => Promise.resolve(story.push("undo all")));
      await last(undos);
      return { told: String(changedBefore), changed: true };
    },
  };
  return [step("a"), step("b"), third];
}

/** What the person was shown, and what was thrown. */
async function run(steps: Step[], signal = new AbortController().signal) {
  let shown = "";
  const stages: string[] = [];
  const reached = (stage: string) => Promise.resolve(void stages.push(stage));
  const thrown = await runSteps(steps, { print: (text) => shown += text, signal, reached })
    .then(() => undefined, (error) => error);
  return { shown, thrown, stages };
}

Deno.test("steps are taken in order, a line each, and told to the control plane", async () => {
  const story: string[] = [];
  const { shown, thrown, stages } = await run(threeSteps(story, () => Promise.resolve()));
  assert.equal(thrown, undefined);
  assert.equal(shown, "a: done, unchanged\nb: done\nc:\n  true\n");
  assert.deepEqual(story, ["do a", "do b"]);
  const both = ["binary_download_started", "binary_downloaded"];
  assert.deepEqual(stages, [...both, ...both]);
});

Deno.test("a failure undoes what was done, the latest first, whatever fails meanwhile", async () => {
  const story: string[] = [];
  const failure = new UserError("It rains.");
  const { shown, thrown } = await run(threeSteps(story, () => Promise.reject(failure)));
  assert.equal(thrown, failure);
  assert.deepEqual(story, ["do a", "do b", "undo b", "undo a", "undo all"]);
  assert.match(
    shown,
    /c:\n {2}failed\nNot rolled back: c \(it is stuck\)\nRolled back: b\nRolled back: a\n/,
  );
});

Deno.test("what the system refuses is a sentence, a bug stays one", async () => {
  const denied = () => Deno.readTextFile("/nowhere/at/all");
  const { thrown } = await run(threeSteps([], denied));
  assert(thrown instanceof UserError);
  assert.match(thrown.message, /^c: No such file/);
  const bug = new TypeError("undefined is not a function");
  assert.equal((await run(threeSteps([], () => Promise.reject(bug)))).thrown, bug);
});

Deno.test("once it is to be kept, nothing is undone, and it is said why", async () => {
  const story: string[] = [];
  const fails = (undos: Undos) => {
    undos.keep("It stays.");
    undos.add("later", () => Promise.resolve(story.push("undo later")));
    return Promise.reject(new UserError("It rains."));
  };
  const { shown } = await run(threeSteps(story, fails));
  assert.deepEqual(story, ["do a", "do b"]);
  assert.match(shown, /failed\nIt stays\.\n$/);
});

Deno.test("an interruption undoes as a failure does, and is what is thrown", async () => {
  const story: string[] = [];
  const controller = new AbortController();
  const reason = new UserError("Interrupted.", { exitCode: 130 });
  const interrupted = () => {
    controller.abort(reason);
    return Promise.reject(new UserError("`cp` failed: interrupted"));
  };
  const { shown, thrown } = await run(threeSteps(story, interrupted), controller.signal);
  assert.equal(thrown, reason);
  assert.match(shown, /c:\n {2}interrupted\n/);
  assert.deepEqual(story.slice(2), ["undo b", "undo a", "undo all"]);
});
