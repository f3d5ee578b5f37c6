import { join } from "@std/path";
import { UserError } from "../system/user_error.ts";
import { keepFile } from "./kept_file.ts";
import { type Machine, modeAndOwner, must, removeAll } from "./machine.ts";
import type { Step } from "./steps.ts";

/**
 * The state folder and the identity in it, root's alone: the 1.x agent ran as another user. systemd
 * makes what else the service needs there.
 */
export function stateFolder({ places, run }: Machine): Step {
  const { stateFolder: folder, identity } = places;
  return {
    name: "State folder",
    async run(undos) {
      const found = await modeAndOwner(run, folder);
      const changesFolder = found !== "700 0:0";
      const changesIdentity = !["", "600 0:0"].includes(await modeAndOwner(run, identity));
      if (changesFolder) {
        const [mode = "", owner = ""] = found.split(" ");
        const putBack = async () => {
          await must(run, "chown", owner, folder);
          await must(run, "chmod", mode, folder);
        };
        undos.add(`folder ${folder}`, found ? putBack : () => removeAll(folder));
        await must(run, "install", "-d", "-m", "0700", "-o", "root", "-g", "root", folder);
        await refuseLinks(folder);
      }
      if (changesIdentity) {
        await keepFile(undos, identity);
        await must(run, "chown", "root:root", identity);
        await must(run, "chmod", "0600", identity);
      }
      return { told: folder, changed: changesFolder || changesIdentity };
    },
  };
}

/** Whoever had the folder could have root write anywhere by a link in it. */
async function refuseLinks(folder: string): Promise<void> {
  for await (const { name, isSymlink } of Deno.readDir(folder)) {
    if (!isSymlink) continue;
    const path = join(folder, name);
    throw new UserError(
      `${path} is a link, and the folder was not root's alone: remove it or put there what it leads ` +
        "to, then install again.",
    );
  }
}
