import { lookAt } from "../system/trust.ts";
import { removeAll } from "./machine.ts";
import type { Undos } from "./steps.ts";

/** Has a failure put the file at `path` back as it is now, or away if there is none. */
export async function keepFile(undos: Undos, path: string): Promise<void> {
  const found = await lookAt(path);
  const what = `file ${path}`;
  if (!found) return undos.add(what, () => removeAll(path));
  const content = await Deno.readFile(path);
  undos.add(what, async () => {
    await Deno.writeFile(path, content);
    await Deno.chown(path, found.uid, found.gid);
    if (found.mode !== null) await Deno.chmod(path, found.mode & 0o7777);
  });
}
