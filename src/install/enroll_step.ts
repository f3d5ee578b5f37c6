import { type Config, loadConfig, type ReadEnv } from "../config/mod.ts";
import { type Credentials, EnrollmentApi } from "../control_plane/agent_api.ts";
import { connect } from "../control_plane/connect.ts";
import { completeEnrollment, type EnrollmentPlace, provePlace } from "../identity/enrollment.ts";
import { knownIdentity } from "../identity/known_identity.ts";
import type { Step } from "./steps.ts";
import { isTransient, RefusedError } from "../control_plane/errors.ts";
import { readNodeFacts } from "../identity/location.ts";
import { hostnameForEnrollment } from "../system/host_facts.ts";
import { messageOf, UserError } from "../system/user_error.ts";

/** What {@linkcode enrollment} is told. */
export interface EnrollmentOptions {
  /** The environment that leads to the configuration. */
  env: ReadEnv;
  /** Hears of what did not stop it. */
  warn: (sentence: string) => void;
  /** A token that makes the machine a node without anybody's approval. */
  token: string | undefined;
  /** Enrolls the machine with a person's approval; not called with a token. */
  converse: (place: EnrollmentPlace) => Promise<Credentials>;
}

/** Makes the machine a node. Who is one already stays the same. */
export function enrollment({ env, warn, token, converse }: EnrollmentOptions): Step {
  return {
    name: "Enrollment",
    begins: "agent_bootstrapping",
    talks: true,
    async run(undos) {
      const loaded = await loadConfig({ env });
      const known = await knownIdentity(loaded);
      if (known) {
        const unused = token ? " (the bootstrap token is not used)" : "";
        return { told: `node ${known.nodeId}${unused}`, changed: false };
      }
      using transport = await connect(loaded);
      const api = new EnrollmentApi(transport, loaded.config.requestTimeoutMs);
      const place = { loaded, api, env, warn };
      try {
        if (token) await provePlace(loaded);
        const credentials = token
          ? await consumeToken(api, token, loaded.config)
          : await converse(place);
        await completeEnrollment(place, credentials);
        undos.keep(
          `This machine is node ${credentials.nodeId} now, so all that was installed stays: fix ` +
            "what is wrong, then run `sudo noderax-agent install` again.",
        );
        return { told: `node ${credentials.nodeId}`, changed: true };
      } catch (error) {
        if (!token && (await loadConfig({ env })).config.enrollmentToken) {
          undos.keep(
            "Everything is installed; only the approval is missing. Once it is given, or to wait again, run " +
              "`sudo noderax-agent install`.",
          );
        }
        throw error;
      }
    },
  };
}

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
