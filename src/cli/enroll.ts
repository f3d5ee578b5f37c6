import { loadConfig, locateConfig } from "../config/mod.ts";
import { EnrollmentApi } from "../control_plane/agent_api.ts";
import { connect } from "../control_plane/connect.ts";
import { completeEnrollment } from "../identity/enrollment.ts";
import { knownIdentity, requireOwnState } from "../identity/known_identity.ts";
import { findPackage } from "../install/release.ts";
import { INSTALLED } from "../system/paths.ts";
import { isRunning, serviceState } from "../system/systemd.ts";
import { readLines } from "./ask.ts";
import { tellWhichConfig } from "./config.ts";
import { askForEmail, checkEmail, converse } from "./enrollment_dialog.ts";
import { complain, print, PROGRAM } from "./output.ts";

/** What the command line says. */
export interface EnrollOptions {
  /** The address to enroll with; asked for on standard input unless given. */
  email?: string;
  /** Enrolls a machine that has an identity already; the old one counts until the new one is approved. */
  again?: boolean;
}

/**
 * Enrolls this machine, or says that it is; gives the exit code. Where a package has installed a
 * service that does not run, it is `install`, which also asks for the address and starts it.
 */
export async function enroll({ email, again = false }: EnrollOptions): Promise<number> {
  checkEmail(email);
  if (!again && await isForPackagedService()) {
    const { install } = await import("./install_command.ts");
    return await install(email === undefined ? {} : { email });
  }
  const loaded = await loadConfig();
  tellWhichConfig({ ...loaded, passedOver: loaded.warnings });
  await requireOwnState(loaded.config);
  const known = await knownIdentity(loaded);
  if (known && !again) {
    print(
      `This machine is already enrolled as node ${known.nodeId}.\n` +
        `(If that node was deleted, \`${PROGRAM} enroll --again\` re-enrolls it as a new one.)\n`,
    );
    return 0;
  }
  using transport = await connect(loaded);
  const api = new EnrollmentApi(transport, loaded.config.requestTimeoutMs);
  const place = { loaded, api, warn: complain };

  const credentials = await converse(place, {
    email: async () => email ?? await askForEmail(readLines(Deno.stdin.readable)),
    interrupted:
      `Stopped waiting: the token is kept in ${loaded.path}, and \`${PROGRAM} enroll\` ` +
      `or \`${PROGRAM} run\` continues with it.`,
  });
  await completeEnrollment(place, credentials);
  print(
    `Approved: this machine is node ${credentials.nodeId}.\n` +
      `Its identity is saved in ${await Deno.realPath(loaded.config.stateFile)}.\n` +
      `${await nextStep(loaded.path)}\n`,
  );
  return 0;
}

/** A service that runs has the old identity still. */
async function nextStep(path: string): Promise<string> {
  if (path === INSTALLED.config) {
    const state = await serviceState();
    if (isRunning(state)) return `Now restart the agent with \`sudo ${PROGRAM} restart\`.`;
    if (state?.load === "loaded") return `Now start the agent with \`sudo ${PROGRAM} start\`.`;
  }
  return `Now start the agent with \`${PROGRAM} run\`.`;
}

async function isForPackagedService(): Promise<boolean> {
  if ((await locateConfig()).path !== INSTALLED.config || !await findPackage(INSTALLED)) {
    return false;
  }
  const state = await serviceState();
  return state?.load === "loaded" && !isRunning(state);
}
