import { writeFileAtomic } from "../system/atomic_file.ts";
import { lookAt } from "../system/trust.ts";
import { isThere, type Machine, modeAndOwner, must, removeAll } from "./machine.ts";
import type { Undos } from "./steps.ts";
import { messageOf, UserError } from "../system/user_error.ts";

/** Has a failure put the file at `path` back as it is now, behind a link too, or away if there is none. */
export async function keepFile(undos: Undos, path: string): Promise<void> {
  const found = await lookAt(path);
  const what = `file ${path}`;
  if (!found) return undos.add(what, () => removeAll(path));
  const link = found.isSymlink ? await Deno.readLink(path) : undefined;
  const content = await Deno.readFile(path);
  // A link's own mode lets everybody write.
  const { uid, gid, mode } = await Deno.stat(path);
  undos.add(what, async () => {
    if (link !== undefined && !(await lookAt(path))?.isSymlink) {
      await removeAll(path);
      await Deno.symlink(link, path);
    }
    const bits = (mode ?? 0o600) & 0o7777;
    // First, as it looks that nobody else decides where the path leads.
    await writeFileAtomic(path, content, { mode: bits, followLinks: true });
    await Deno.chown(path, uid, gid);
    await Deno.chmod(path, bits);
  });
}

/**
 * Renames a folder that others could write in, so that nobody but root can change what is in it any
 * more; gives its new name. Nothing is at its place then.
 */
export async function setFolderAside(
  { run }: Machine,
  folder: string,
  undos: Undos,
): Promise<string> {
  const aside = nameAside(folder, (await foldersAside(folder)).length);
  const [mode = "", owner = ""] = (await modeAndOwner(run, folder)).split(" ");
  undos.add(`folder ${folder}`, async () => {
    if (!await isThere(aside)) return;
    await removeAll(folder);
    await Deno.rename(aside, folder);
    await must(run, "chown", owner, folder);
    await must(run, "chmod", mode, folder);
  });
  await rename(folder, aside);
  // From now on nobody else can change what is in it.
  await must(run, "chown", "--no-dereference", "root:root", aside);
  await must(run, "chmod", "0700", aside);
  return aside;
}

async function rename(folder: string, aside: string): Promise<void> {
  try {
    await Deno.rename(folder, aside);
  } catch (error) {
    throw new UserError(
      `Others could write in ${folder}, and it cannot be set aside (${
        messageOf(error)
      }): move all ` +
        `that is in it away, run \`chown root:root ${folder} && chmod 0700 ${folder}\`, then ` +
        "install again.",
      { cause: error },
    );
  }
}

/** Where a folder was set aside, each time. */
export async function foldersAside(folder: string): Promise<string[]> {
  const found: string[] = [];
  while (await isThere(nameAside(folder, found.length))) {
    found.push(nameAside(folder, found.length));
  }
  return found;
}

function nameAside(folder: string, before: number): string {
  return before === 0 ? `${folder}.old` : `${folder}.old.${before + 1}`;
}
