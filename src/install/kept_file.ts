import { writeFileAtomic } from "../system/atomic_file.ts";
import { lookAt } from "../system/trust.ts";
import { removeAll } from "./machine.ts";
import type { Undos } from "./steps.ts";

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
