import { resolve } from "@std/path";
import * as z from "@zod/zod";
import type { Credentials } from "../control_plane/agent_api.ts";
import { writeFileAtomic } from "../system/atomic_file.ts";
import type { Logger } from "../system/logger.ts";
import { HeaderText } from "../system/text.ts";
import { NotOwnError, readOwn } from "../system/own_file.ts";
import { chase, isRoot } from "../system/trust.ts";
import { messageOf, UserError } from "../system/user_error.ts";

/** What enrolled this machine, as the identity file (`state_file`) keeps it. */
export interface Identity extends Credentials {
  /** When the machine was let in, RFC 3339. */
  registeredAt: string;
}

const IdentityFile = z.object({
  node_id: HeaderText,
  agent_token: HeaderText,
  registered_at: z.string(),
});

/**
 * Reads the identity file; `undefined` only if there is none at `path`.
 *
 * Throws a {@linkcode UserError} that names the file when it cannot be read or is damaged: going on
 * without it would enroll the machine a second time.
 */
export async function readIdentity(path: string): Promise<Identity | undefined> {
  let text: string;
  try {
    text = await readOwn(await placeOf(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof NotOwnError) {
      throw new UserError(`The identity file ${error.message}`, { cause: error });
    }
    if (error instanceof Deno.errors.PermissionDenied) {
      const message = `The identity file ${resolve(path)} cannot be read (permission denied): ` +
        "use the account that owns it, or root.";
      throw new UserError(message, { cause: error });
    }
    const message = `The identity file ${resolve(path)} cannot be read (${reason(error)}): ` +
      "set state_file to a file that this account may read and write.";
    throw new UserError(message, { cause: error });
  }
  return parseIdentity(path, text);
}

/**
 * What the text of an identity file says.
 *
 * @throws {UserError} that names the file `path` if it is damaged.
 */
export function parseIdentity(path: string, text: string): Identity {
  const parsed = IdentityFile.safeParse(parseJson(path, text));
  if (!parsed.success) {
    const fields = [...new Set(parsed.error.issues.map(({ path }) => path[0]))].filter(Boolean);
    throw damaged(
      path,
      fields.length ? `lacks a usable ${fields.join(" and ")}` : "holds no JSON object",
    );
  }
  const { node_id, agent_token, registered_at } = parsed.data;
  return { nodeId: node_id, agentToken: agent_token, registeredAt: registered_at };
}

/**
 * Writes the identity file (0600, atomic, the folder synced).
 *
 * Throws a {@linkcode UserError} when it cannot, or when a damaged one is there: that one is left
 * untouched.
 */
export async function writeIdentity(path: string, identity: Identity): Promise<void> {
  await readIdentity(path);
  const content = {
    node_id: identity.nodeId,
    agent_token: identity.agentToken,
    registered_at: identity.registeredAt,
  };
  try {
    await writeFileAtomic(path, JSON.stringify(content, null, 2) + "\n", { followLinks: true });
  } catch (cause) {
    const message = `The identity file ${resolve(path)} cannot be written (${reason(cause)}): ` +
      "make its folder writable for this account, or set state_file to another place.";
    throw new UserError(message, { cause });
  }
}

/** Writes the identity file once more where it was lost; whoever starts next finds it. */
export async function restoreIdentity(
  path: string,
  credentials: Credentials,
  logger: Logger,
): Promise<void> {
  try {
    if (await readIdentity(path)) return;
    await writeIdentity(path, { ...credentials, registeredAt: new Date().toISOString() });
    logger.info("identity file was lost and is restored", { file: path });
  } catch (error) {
    logger.error("identity file was lost and cannot be restored", { error: messageOf(error) });
  }
}

/** Where the file is: a link is followed, by root only along a way that nobody else can change. */
async function placeOf(path: string): Promise<string> {
  if (!isRoot()) return await Deno.realPath(path);
  const { place, problem } = await chase(path);
  if (problem !== undefined) throw new NotOwnError(path, problem);
  return place;
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The engine's message quotes the text, which may be the token.
    throw damaged(path, text.trim() === "" ? "is empty" : "is not valid JSON");
  }
}

function damaged(path: string, what: string, cause?: unknown): UserError {
  const message = `The identity file ${resolve(path)} ${what}: ` +
    "restore it from a backup, or move it away and run `noderax-agent enroll` again.";
  return new UserError(message, { cause });
}

function reason(error: unknown): string {
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.IsADirectory) return "it is a folder";
  return messageOf(error);
}
