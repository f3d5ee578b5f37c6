import { keepFile } from "./kept_file.ts";
import { type Machine, must, removeAll } from "./machine.ts";
import type { Step } from "./steps.ts";

/**
 * The state folder and the identity in it, root's alone: the 1.x agent ran as another user. systemd
 * makes what else the service needs there.
 */
export function stateFolder({ places, run }: Machine): Step {
  const { stateFolder: folder, identity } = places;
  /** Such as `700 0:0`; empty if there is nothing. */
  const look = async (path: string) => (await run("stat", "--format=%a %u:%g", path)).stdout;
  return {
    name: "State folder",
    async run(undos) {
      const found = await look(folder);
      const changesFolder = found !== "700 0:0";
      const changesIdentity = !["", "600 0:0"].includes(await look(identity));
      if (changesFolder) {
        const [mode = "", owner = ""] = found.split(" ");
        const putBack = async () => {
          await must(run, "chown", owner, folder);
          await must(run, "chmod", mode, folder);
        };
        undos.add(`folder ${folder}`, found ? putBack : () => removeAll(folder));
        await must(run, "install", "-d", "-m", "0700", "-o", "root", "-g", "root", folder);
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
