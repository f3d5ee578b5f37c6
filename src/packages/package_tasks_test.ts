import assert from "node:assert/strict";
import { contextOf } from "../tasks/_test_task_context.ts";
import { APT } from "./apt_manager.ts";
import { outcomeOfChange } from "./package_tasks.ts";
import type { ChangeEnd } from "./package_manager.ts";

const tooLong = () => Promise.reject(new DOMException("Signal timed out.", "TimeoutError"));
const changed = () => Promise.resolve([{ name: "base", to: "1.0" }]);
const MANAGER = { ...APT, audit: tooLong };

/** What becomes of a change that ended so, and what the log says. */
async function outcome(own: Partial<ChangeEnd>) {
  let log = "";
  const context = contextOf({ onLines: (_, lines) => Promise.resolve(void (log += lines)) });
  const request = { operation: "install", names: ["base"] } as const;
  const end = { exitCode: 0, error: undefined, changed, ...own };
  return {
    ...await outcomeOfChange(MANAGER, { ...request, names: [...request.names] }, end, context),
    log,
  };
}

Deno.test("a look that takes too long takes nothing from what is known of a change", async () => {
  const failed = await outcome({ exitCode: 1, error: "no room" });
  assert.deepEqual([failed.status, failed.exitCode, failed.error], ["failed", 1, "no room"]);
  assert.deepEqual(failed.result?.changed, await changed());
  assert.equal(failed.log, "[all that may be broken could not be looked at: more than 60 s]\n");

  const unknown = await outcome({ exitCode: 1, error: "no room", changed: tooLong });
  assert.deepEqual([unknown.status, unknown.error], ["failed", "no room"]);
  assert(unknown.result && !("changed" in unknown.result));

  const success = await outcome({ changed: tooLong, broken: tooLong });
  assert.deepEqual([success.status, success.exitCode], ["success", 0]);
  assert.match(success.log, /^\[what has changed could not be looked at: more than 10 s\]$/m);
});
