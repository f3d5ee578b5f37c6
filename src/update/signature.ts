import type { KeyObject } from "node:crypto";
import { UserError } from "../system/user_error.ts";

/** What stands before the 32 bytes of an Ed25519 key in the form that OpenSSL writes. */
const ED25519_PREFIX = "302a300506032b6570032100";

/**
 * The keys of `update_public_key`: the base64 text between the first and the last line of a PEM file,
 * several of them separated by commas or spaces.
 *
 * @throws {UserError} when one of them is no Ed25519 public key.
 */
export async function publicKeys(text: string): Promise<KeyObject[]> {
  const { createPublicKey } = await import("node:crypto");
  const { Buffer } = await import("node:buffer");
  return text.split(/[\s,]+/).filter(Boolean).map((word) => {
    const der = bytesOf(word);
    if (der?.length === 44 && der.toHex().startsWith(ED25519_PREFIX)) {
      return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
    }
    throw new UserError(
      `update_public_key: "${word}" is no Ed25519 public key: take the middle line of its PEM file.`,
    );
  });
}

/**
 * Makes sure that one of the keys has signed these bytes.
 *
 * @throws {UserError} when none has; `what` names the signed file.
 */
export async function requireSignature(
  what: string,
  signed: Uint8Array,
  signature: Uint8Array,
  keys: readonly KeyObject[],
): Promise<void> {
  const { verify } = await import("node:crypto");
  if (keys.some((key) => verify(null, signed, key, signature))) return;
  throw new UserError(
    `${what} is not signed by a key of update_public_key: nothing of it is used. Sign the release ` +
      "with a trusted key, or add its key to update_public_key.",
  );
}

/**
 * The SHA-256 that the lines of SHA256SUMS state for a file, in hex.
 *
 * @throws {UserError} when they do not name it.
 */
export function checksumOf(sums: string, file: string): string {
  for (const line of sums.split("\n")) {
    const [, digest, name] = /^([0-9a-f]{64}) [ *](.+)$/.exec(line) ?? [];
    if (digest && name === file) return digest;
  }
  throw new UserError(
    `The signed SHA256SUMS does not name ${file}: it belongs to another version, or the release ` +
      "is not for this kind of machine.",
  );
}

function bytesOf(base64: string): Uint8Array | undefined {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    return undefined;
  }
}
