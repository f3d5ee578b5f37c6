import { join } from "@std/path";
import { createPrivateKey, sign } from "node:crypto";
import { NAME } from "../src/system/paths.ts";
import { messageOf, UserError } from "../src/system/user_error.ts";

/** The file of the private key, in PEM, that SHA256SUMS is signed with; unsigned without it. */
export const KEY_VARIABLE = "NODERAX_RELEASE_KEY";

/**
 * Writes SHA256SUMS, in the form of sha256sum, for all released files that a folder holds. A signature
 * of an older one is removed.
 */
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
  if (entries.some(({ name }) => name === "SHA256SUMS.sig")) {
    await Deno.remove(join(folder, "SHA256SUMS.sig"));
  }
}

/**
 * Signs a folder's SHA256SUMS with the Ed25519 key in `keyFile`: SHA256SUMS.sig, 64 bytes; gives its
 * path.
 *
 * @throws {UserError} when the key cannot be used.
 */
export async function signChecksums(folder: string, keyFile: string): Promise<string> {
  const key = await readKey(keyFile);
  const sums = await Deno.readFile(join(folder, "SHA256SUMS"));
  const path = join(folder, "SHA256SUMS.sig");
  await Deno.writeFile(path, sign(null, sums, key));
  return path;
}

/**
 * Reads an Ed25519 key.
 *
 * @throws {UserError} when there is none in the file.
 */
export async function readKey(keyFile: string): Promise<ReturnType<typeof createPrivateKey>> {
  const how = "make one with `openssl genpkey -algorithm ed25519 -out FILE`";
  try {
    const key = createPrivateKey(await Deno.readTextFile(keyFile));
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch (cause) {
    throw new UserError(
      `${KEY_VARIABLE}: ${keyFile} cannot be used (${messageOf(cause)}); ${how}.`,
      {
        cause,
      },
    );
  }
  throw new UserError(`${KEY_VARIABLE}: ${keyFile} is no Ed25519 key; ${how}.`);
}
