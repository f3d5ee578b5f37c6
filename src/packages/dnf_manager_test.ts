import assert from "node:assert/strict";
import { join } from "@std/path";
import { contextOf } from "../tasks/_test_task_context.ts";
import { dnfManager } from "./dnf_manager.ts";

/** rpm's database is a file, and its lock another one. */
const RPM = `#!/bin/sh
cd "$(dirname "$0")"
case $1 in --eval) echo "$PWD/lock" ;; -qa) cat database ;; esac`;
const DNF = `#!/bin/sh
cd "$(dirname "$0")"
until [ -e go ]; do sleep 0.01; done
cat new >>database
echo "no room" >&2
exit 1`;

/** Why dnf has failed that has changed so much and then met a lock; "waits" if it is to run again. */
async function besideLock(changes: string): Promise<string | undefined> {
  const folder = await Deno.makeTempDir();
  const path = (name: string) => join(folder, name);
  try {
    for (const [name, text] of Object.entries({ rpm: RPM, dnf: DNF, database: "", new: changes })) {
      await Deno.writeTextFile(path(name), text, { mode: 0o755 });
    }
    using lock = await Deno.open(path("lock"), { create: true, write: true });
    const waits = new AbortController();
    const { start } = contextOf();
    const context = contextOf({
      signal: waits.signal,
      start: async (command) => {
        const [program, ...args] = command.argv;
        if (program === "rpm") return await start({ ...command, argv: [path("rpm"), ...args] });
        const dnf = await start(command);
        await lock.lock(true);
        await Deno.writeTextFile(path("go"), "");
        return dnf;
      },
      onLines: (_, lines) => {
        if (lines.includes("rpm is busy")) waits.abort(new Error("waits"));
        return Promise.resolve();
      },
    });
    const request = { operation: "install" as const, names: ["base"] };
    return (await dnfManager(path("dnf")).change(request, context, 0)).error;
  } catch (error) {
    if (error instanceof Error && error.message === "waits") return "waits";
    throw error;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("dnf that fails beside a lock runs again only if it has changed nothing", async () => {
  assert.equal(await besideLock("base\t0\t1.0\t1\tnoarch\ttiny\n"), "no room");
  assert.equal(await besideLock(""), "waits");
});
