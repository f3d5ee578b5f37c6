import { dirname, join, resolve } from "@std/path";
import type { Config, LoadedConfig } from "../config/mod.ts";
import type { Credentials } from "../control_plane/agent_api.ts";
import { UserError } from "../system/user_error.ts";
import { readIdentity } from "./identity_file.ts";
import { requireOwnFolder } from "../system/trust.ts";

/** What of the configuration tells who this machine is, or who may know it. */
export type IdentitySources = Pick<LoadedConfig, "config" | "path" | "sources" | "foreign">;

/**
 * Who this machine is, without asking anybody: a pair of node_id and agent_token in the
 * configuration wins over the identity file; half a pair is completed from it.
 *
 * The identity file is looked at in any case. Throws a {@linkcode UserError} if it is damaged, or if
 * half a pair cannot be completed; `undefined` means that the machine is not enrolled.
 *
 * A configuration of somebody else's that was found, not named, never gets an identity that it does
 * not hold itself: it says where the token is sent.
 */
export async function knownIdentity(loaded: IdentitySources): Promise<Credentials | undefined> {
  const known = await lookUp(loaded);
  const { foreign, path, sources, config: { stateFile } } = loaded;
  if (!known || !foreign) return known;
  const apart = ["node_id", "agent_token"].some((key) => {
    const source = sources[key] ?? "default";
    return source === "default" || "env" in source;
  });
  if (!apart) return known;
  throw new UserError(
    `The identity in ${
      resolve(stateFile)
    } or the environment is not used with ${path}, which says ` +
      `where it is sent, because ${foreign}: name the file with --config if you trust it.`,
  );
}

async function lookUp({ config }: IdentitySources): Promise<Credentials | undefined> {
  const stored = await readIdentity(config.stateFile);
  const { nodeId, agentToken } = config;
  if (nodeId && agentToken) return { nodeId, agentToken };
  if (!nodeId && !agentToken) {
    return stored && { nodeId: stored.nodeId, agentToken: stored.agentToken };
  }

  const [set, missing] = nodeId ? ["node_id", "agent_token"] : ["agent_token", "node_id"];
  if (!stored) {
    throw new UserError(`${set} is set but ${missing} is not: set both or neither.`);
  }
  if (nodeId && nodeId !== stored.nodeId) {
    throw new UserError(
      `node_id is ${nodeId}, but the identity file ${config.stateFile} belongs to node ` +
        `${stored.nodeId}: set agent_token too, or remove node_id.`,
    );
  }
  return { nodeId: stored.nodeId, agentToken: agentToken ?? stored.agentToken };
}

/**
 * Makes sure that the state folder is this account's alone: whoever writes there has the agent run
 * what they like, as root where it is root.
 *
 * @throws {UserError} that names the folder, who else may write there, and what to do.
 */
export async function requireOwnState({ stateFile }: Pick<Config, "stateFile">): Promise<void> {
  const folder = dirname(stateFile);
  for (const each of [folder, join(folder, "tasks")]) {
    await requireOwnFolder(each, "The state folder");
  }
}
