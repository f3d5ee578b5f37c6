import { openOwn } from "../system/own_file.ts";
import { lookAt } from "../system/trust.ts";
import { UserError } from "../system/user_error.ts";
import type { Places } from "./machine.ts";

/**
 * Keeps the installation to this process until it is disposed of or the process ends: two that
 * replace the program at once would mix what they install. Only root may open the lock's file.
 *
 * @throws {UserError} when another process has it.
 */
export async function lockInstallation({ runtimeFolder }: Places): Promise<AsyncDisposable> {
  const path = `${runtimeFolder}.lock`;
  for (;;) {
    const file = await openOwn(path, { write: true, create: true });
    if (!await file.tryLock(true)) {
      file.close();
      throw new UserError(
        "The agent is being installed, updated or removed by another process: wait for its end.",
      );
    }
    const [there, held] = await Promise.all([lookAt(path), file.stat()]);
    if (there?.dev === held.dev && there.ino === held.ino) {
      return {
        async [Symbol.asyncDispose]() {
          // Removed while it is held: whoever waits with the old file looks whether it is still there.
          await Deno.remove(path).catch(() => {});
          file.close();
        },
      };
    }
    file.close();
  }
}
