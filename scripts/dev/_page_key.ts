import { join } from "@std/path";

const KEY = /^[0-9a-f]{32}$/;

/** The key of the page, kept in `folder` for the next start: an address stays good. */
export async function pageKey(folder: string): Promise<string> {
  const file = join(folder, "page_key");
  const kept = await Deno.readTextFile(file).catch(() => "");
  if (KEY.test(kept)) return kept;
  const key = newKey();
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(file, key, { mode: 0o600 });
  return key;
}

/** A key that nobody can guess. */
export function newKey(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toHex();
}
