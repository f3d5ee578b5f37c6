import { dirname, join } from "@std/path";
import { isThere, type Machine, must, type Places, removeAll } from "./machine.ts";
import type { Release } from "./release.ts";
import { PREPARE } from "../system/paths.ts";
import type { Step, Undos } from "./steps.ts";
import { UserError } from "../system/user_error.ts";
import { lookAt } from "../system/trust.ts";

/** Where the program that is replaced stays until the new one has proved itself. */
export function oldProgram({ programFolder }: Places): string {
  return `${programFolder}.old`;
}

/** Where a program is put together. */
export function newProgram({ programFolder }: Places): string {
  return `${programFolder}.new`;
}

/** Puts the program into its folder as a whole: no start ever finds a part of it. */
export function program(machine: Machine, release: Release, version: string): Step {
  const { places, run } = machine;
  const { programFolder: folder } = places;
  const old = oldProgram(places);
  const fresh = newProgram(places);

  async function putBack() {
    if (await isThere(old)) {
      if (await isThere(folder)) {
        await removeAll(fresh);
        await Deno.rename(folder, fresh);
      }
      await Deno.rename(old, folder);
    }
    // Last, as removing takes long and may fail.
    await removeAll(fresh);
  }

  return {
    name: "Program",
    begins: "binary_download_started",
    ends: "binary_downloaded",
    async run(undos) {
      if (await isInstalled(machine, release)) {
        // An installation that was killed has not restarted the service.
        return { told: `${version} in ${folder}`, changed: await isThere(old) };
      }
      // An installation that was killed may have left its traces.
      if (!await isThere(folder)) await putBack();
      await removeAll(old);
      await removeAll(fresh);
      const first = !await isThere(folder);
      undos.add(`program in ${folder}`, async () => {
        await putBack();
        if (first) await removeAll(folder);
      });
      await Deno.mkdir(fresh, { recursive: true });
      for (const { from, as } of release.parts) await must(run, "cp", "-R", from, join(fresh, as));
      // Whatever the umask says, and whoever unpacked it.
      await must(run, "chmod", "-R", "u=rwX,go=rX", fresh);
      await must(run, "sync", "-f", fresh);
      if (!first) await Deno.rename(folder, old);
      await Deno.rename(fresh, folder);
      await must(run, "sync", "-f", dirname(folder));
      await prepareCache(machine, undos);
      const did = first ? "copied to" : "replaces the one in";
      return { told: `${version} ${did} ${folder}`, changed: true };
    },
  };
}

/** It takes a part of a second; where it hangs, it is not waited for: as `timeout` says it. */
const PREPARE_LIMIT = "60s";

/**
 * Has Deno keep what it makes of the program: where root's commands and where the service looks for it.
 * Without it a first start is slower, which is no reason not to install.
 */
async function prepareCache({ places, run }: Machine, undos: Undos): Promise<void> {
  const { program, programFolder, cacheFolder } = places;
  if (!await isThere(cacheFolder)) {
    undos.add(`cache in ${cacheFolder}`, () => removeAll(cacheFolder));
    await must(run, "mkdir", "-p", "-m", "0700", cacheFolder);
  }
  for (const folder of [join(programFolder, "cache"), cacheFolder]) {
    await run("timeout", PREPARE_LIMIT, program, PREPARE, folder).catch(() => {});
  }
}

async function isInstalled({ places, run }: Machine, release: Release): Promise<boolean> {
  const folder = places.programFolder;
  if (!await isThere(folder)) return false;
  if (release.folder === await Deno.realPath(folder)) return true;
  for (const { from, as } of release.parts) {
    if ((await run("diff", "-rq", from, join(folder, as))).code !== 0) return false;
  }
  return true;
}

/** The link that makes the program a command. */
export function link({ places }: Pick<Machine, "places">): Step {
  return {
    name: "Command",
    async run(undos) {
      if (await isOurs(places)) return { told: places.link, changed: false };
      await refuseForeignLink(places);
      await Deno.mkdir(dirname(places.link), { recursive: true });
      undos.add(`link ${places.link}`, () => removeLink(places));
      await Deno.symlink(places.program, places.link);
      return { told: places.link, changed: true };
    },
  };
}

/** Throws a {@linkcode UserError} when something else has the command's name. */
export async function refuseForeignLink(places: Places): Promise<void> {
  if (await isOurs(places) || !await lookAt(places.link)) return;
  throw new UserError(
    `${places.link} is there already and does not lead to ${places.program}: move it away, then ` +
      "install again.",
  );
}

/** Removes the link; gives whether there was one. Whatever else has its name stays. */
export async function removeLink(places: Places): Promise<boolean> {
  if (!await isOurs(places)) return false;
  await Deno.remove(places.link);
  return true;
}

async function isOurs(places: Places): Promise<boolean> {
  const found = await lookAt(places.link);
  return found?.isSymlink === true && await Deno.readLink(places.link) === places.program;
}
