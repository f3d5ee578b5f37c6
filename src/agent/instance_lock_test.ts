import assert from "node:assert/strict";
import { join } from "@std/path";
import { Logger } from "../system/logger.ts";
import { UserError } from "../system/user_error.ts";
import { lockState } from "./instance_lock.ts";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "lock_" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("one agent at a time has a state folder, which is made for its owner alone", () =>
  withFolder(async (parent) => {
    const folder = join(parent, "state");
    const logger = new Logger({ write: assert.fail });
    {
      using _lock = await lockState(folder, logger);
      assert.equal(((await Deno.stat(folder)).mode ?? 0) & 0o777, 0o700);
      await assert.rejects(lockState(folder, logger), (error) => {
        assert(error instanceof UserError);
        assert(error.message.includes(folder));
        return true;
      });
      using _other = await lockState(join(parent, "other"), logger);
    }
    using _again = await lockState(folder, logger);
  }));

Deno.test("who only looks whether an agent runs keeps none from starting", () =>
  withFolder(async (folder) => {
    const path = join(folder, "agent.lock");
    await Deno.writeTextFile(path, "");
    const look = await Deno.open(path);
    assert(await look.tryLock(false));
    const logger = new Logger({ write: assert.fail });
    const locking = lockState(folder, logger);
    const looked = setTimeout(() => look.close(), 50);
    using _lock = await locking.finally(() => clearTimeout(looked));
  }));

Deno.test("the lock goes with a process that is killed", () =>
  withFolder(async (folder) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `import { lockState } from ${JSON.stringify(import.meta.resolve("./instance_lock.ts"))};
         await lockState(${JSON.stringify(folder)});
         console.log("locked");
         setInterval(() => {}, 1000);`,
      ],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    const logger = new Logger({ write: assert.fail });
    await assert.rejects(lockState(folder, logger), UserError);
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    using _lock = await lockState(folder, logger);
  }));

Deno.test("a folder that cannot be locked is warned of, and the agent goes on", () =>
  withFolder(async (folder) => {
    const lines: string[] = [];
    const file = join(folder, "file");
    await Deno.writeTextFile(file, "");
    const logger = new Logger({ write: (line) => lines.push(line) });
    using _lock = await lockState(join(file, "below"), logger);
    assert.match(lines[0] ?? "", /"warn".*cannot be locked/);
  }));
