import assert from "node:assert/strict";
import { join } from "@std/path";
import { removeSpool } from "../logs/spool_disk.ts";
import { stageFile, writeFileAtomic } from "../system/atomic_file.ts";
import { Logger } from "../system/logger.ts";
import { EndedTasks } from "../tasks/ended_tasks.ts";
import { lockState } from "./instance_lock.ts";

/** Notes every operation of a file that is done at once, until it is disposed of. */
class DoneAtOnce implements Disposable {
  readonly calls: string[] = [];
  readonly #undo: (() => void)[] = [];

  constructor() {
    for (const owner of [Deno, Deno.FsFile.prototype]) {
      for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
        if (!name.endsWith("Sync") || typeof property.value !== "function") continue;
        const { value } = property;
        const calls = this.calls;
        Object.defineProperty(owner, name, {
          ...property,
          value(...args: unknown[]): unknown {
            calls.push(name);
            return Reflect.apply(value, this, args);
          },
        });
        this.#undo.push(() => Object.defineProperty(owner, name, property));
      }
    }
  }

  [Symbol.dispose](): void {
    for (const undo of this.#undo) undo();
  }
}

function lookAtOnce(path: string): void {
  Deno.statSync(path);
}

Deno.test("nothing that the state disk is asked for holds up the rest of the agent", async () => {
  const folder = await Deno.makeTempDir({ prefix: "state_disk_" });
  const path = join(folder, "deep/record.json");
  using lock = await lockState(folder, new Logger({ write: () => {} }));
  using atOnce = new DoneAtOnce();
  lookAtOnce(folder);
  assert.deepEqual(atOnce.calls.splice(0), ["statSync"], "it is noted");
  await writeFileAtomic(path, "{}");
  await (await stageFile(path, "[]", { followLinks: true })).discard();
  await new EndedTasks(join(folder, "ended.jsonl")).add("a", { status: "success", durationMs: 1 });
  await removeSpool(join(folder, "a"));
  assert.equal(await lock.look(), undefined);
  assert.deepEqual(atOnce.calls, []);
  await Deno.remove(folder, { recursive: true });
});
