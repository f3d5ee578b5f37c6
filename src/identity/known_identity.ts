import type { Config } from "../config/mod.ts";
import type { Credentials } from "../control_plane/agent_api.ts";
import { UserError } from "../system/user_error.ts";
import { readIdentity } from "./identity_file.ts";

/**
 * Who this machine is, without asking anybody: a pair of node_id and agent_token in the
 * configuration wins over the identity file; half a pair is completed from it.
 *
 * The identity file is looked at in any case. Throws a {@linkcode UserError} if it is damaged, or if
 * half a pair cannot be completed; `undefined` means that the machine is not enrolled.
 */
export async function knownIdentity(config: Config): Promise<Credentials | undefined> {
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
