import { join } from "@std/path";

const KEY = /^[0-9a-f]{32}$/;

/** The key of the page, kept in `folder` for the next start: an address stays good. */
export async function pageKey(folder: string): Promise<string> {
  const file = join(folder, "page_key");
  const kept = await keptIn(file);
  if (kept !== undefined && KEY.test(kept)) return kept;
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const fresh = `${file}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(fresh, newKey(), { mode: 0o600 });
  try {
    if (kept !== undefined) await Deno.rename(fresh, file);
    // Of several that start at once all have the key of the one that was first.
    else await Deno.link(fresh, file);
  } catch (error) {
    // Where there are no hard links the last one's stays.
    if (!(error instanceof Deno.errors.AlreadyExists)) await Deno.rename(fresh, file);
  } finally {
    await Deno.remove(fresh).catch(() => {});
  }
  return await keptIn(file) ?? newKey();
}

/** What the file holds, whatever it is; undefined while there is none. */
function keptIn(file: string): Promise<string | undefined> {
  return Deno.readTextFile(file).catch(() => undefined);
}

/** A key that nobody can guess. */
export function newKey(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toHex();
}
