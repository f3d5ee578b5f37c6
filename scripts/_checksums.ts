import { join } from "@std/path";
import { NAME } from "../src/system/paths.ts";

/** Writes SHA256SUMS, in the form of sha256sum, for all released files that a folder holds. */
export async function writeChecksums(folder: string): Promise<void> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  const names = entries.filter((it) => it.isFile && it.name.startsWith(`${NAME}-`))
    .map(({ name }) => name).sort();
  let lines = "";
  for (const name of names) {
    const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(join(folder, name)));
    lines += `${new Uint8Array(digest).toHex()}  ${name}\n`;
  }
  await Deno.writeTextFile(join(folder, "SHA256SUMS"), lines);
}
