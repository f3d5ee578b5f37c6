import type { Config } from "../config/mod.ts";
import type { Credentials, EnrollmentApi } from "../control_plane/agent_api.ts";
import { isTransient, RefusedError } from "../control_plane/errors.ts";
import { readNodeFacts } from "../identity/location.ts";
import { hostnameForEnrollment } from "../system/host_facts.ts";
import { messageOf, UserError } from "../system/user_error.ts";

/**
 * Makes this machine a node by a bootstrap token (contract: Enrollment). It is asked once: a token
 * whose answer was lost is used up. Throws a {@linkcode UserError} without the token.
 */
export async function consumeToken(
  api: Pick<EnrollmentApi, "consume">,
  token: string,
  config: Config,
): Promise<Credentials> {
  const hostname = hostnameForEnrollment();
  const additionalInfo = await readNodeFacts(config);
  try {
    return await api.consume({ token, hostname, additionalInfo });
  } catch (cause) {
    const reason = messageOf(cause).replaceAll(token, "***");
    const todo = !(cause instanceof RefusedError) || isTransient(cause)
      ? "check api_url and the network, then install again"
      : cause.status === 409
      ? `delete or rename the old node ${hostname} in the Noderax web app, then install again ` +
        "with the same token"
      : "create a new one in the Noderax web app";
    // Its cause may hold the token.
    throw new UserError(`The bootstrap token was refused (${reason}): ${todo}.`);
  }
}
