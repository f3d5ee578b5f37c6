import { join } from "@std/path";
import { type Identity, parseIdentity, writeIdentity } from "../identity/identity_file.ts";
import { lookAt } from "../system/trust.ts";
import { UserError } from "../system/user_error.ts";
import { keepFile, setFolderAside } from "./kept_file.ts";
import type { Step, Undos } from "./steps.ts";
import { type Machine, modeAndOwner, must, removeAll } from "./machine.ts";

/** Nobody but root can have written there; see {@linkcode modeAndOwner}. */
const FOLDER_OF_ROOT = /^\d*[0145]{2} 0:/;
/** No identity is as long, in bytes. */
const MAX_IDENTITY_BYTES = 65_536;

/**
 * The state folder and the identity in it, root's alone: the 1.x agent ran as another user. What was
 * in a folder that others could write is set aside, but for the identity. systemd makes what else
 * the service needs there.
 */
export function stateFolder(machine: Machine): Step {
  const { run, places: { stateFolder: folder, identity } } = machine;
  return {
    name: "State folder",
    async run(undos) {
      const found = await modeAndOwner(run, folder);
      if (found && !FOLDER_OF_ROOT.test(found)) return await takeOver(machine, undos);
      const changesFolder = found !== "700 0:0";
      const changesIdentity = !["", "600 0:0"].includes(await modeAndOwner(run, identity));
      if (changesFolder) {
        undos.add(`folder ${folder}`, async () => {
          if (found) await must(run, "chmod", found.split(" ")[0] ?? "", folder);
          else await removeAll(folder);
        });
        await makeRoots(machine, folder);
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

/** Keeps of a folder that others could write nothing but the identity, if that is one. */
async function takeOver(machine: Machine, undos: Undos) {
  const { stateFolder: folder, identity } = machine.places;
  const aside = await setFolderAside(machine, folder, undos);
  const known = await importIdentity(machine, aside);
  await makeRoots(machine, folder);
  if (known) await writeIdentity(identity, known);
  const kept = known ? "its identity is taken over, and the rest" : "it";
  return {
    told: `${folder} (others could write in it: ${kept} is set aside as ${aside})`,
    changed: true,
  };
}

async function importIdentity(
  { places }: Machine,
  aside: string,
): Promise<Identity | undefined> {
  const path = join(aside, places.identity.slice(places.stateFolder.length));
  const info = await lookAt(path);
  if (!info) return undefined;
  if (!info.isFile || info.size > MAX_IDENTITY_BYTES) {
    throw new UserError(
      `${places.identity} is ${info.isSymlink ? "a link" : "no regular file"}, and others could ` +
        "write in its folder: put there what the agent wrote, or remove it, then install again.",
    );
  }
  return parseIdentity(places.identity, await Deno.readTextFile(path));
}

async function makeRoots({ run }: Machine, folder: string): Promise<void> {
  await must(run, "install", "-d", "-m", "0700", "-o", "root", "-g", "root", folder);
}
