import { z } from "@zod/zod";
import { loadConfig } from "../config/mod.ts";
import { type Credentials, EnrollmentApi } from "../control_plane/agent_api.ts";
import type { InitiatedEnrollment } from "../control_plane/schemas.ts";
import {
  awaitApproval,
  completeEnrollment,
  EnrollmentEndedError,
  type EnrollmentPlace,
  initiateEnrollment,
  type WaitingReport,
} from "../identity/enrollment.ts";
import { knownIdentity } from "../identity/known_identity.ts";
import { hostnameForEnrollment, readHostFacts } from "../system/host_facts.ts";
import { EXIT_USAGE, UserError } from "../system/user_error.ts";
import { connect } from "../control_plane/connect.ts";
import { Interruption } from "./interruption.ts";
import { readLines } from "./lines.ts";
import { complain, print, PROGRAM } from "./output.ts";
import { clock, Progress } from "./progress.ts";

const QUESTION = "Email address of whoever approves this machine: ";
const Email = z.email();

/** What the command line says. */
export interface EnrollOptions {
  /** The address to enroll with; asked for on standard input unless given. */
  email?: string;
  /** Enrolls a machine that has an identity already; the old one counts until the new one is approved. */
  again?: boolean;
}

/** Enrolls this machine, or says that it is; gives the exit code. */
export async function enroll({ email, again = false }: EnrollOptions): Promise<number> {
  if (email !== undefined && !Email.safeParse(email).success) {
    const message = `--email is "${email}", but must be an address such as me@example.com.`;
    throw new UserError(message, { exitCode: EXIT_USAGE });
  }
  const loaded = await loadConfig();
  loaded.warnings.forEach(complain);
  const known = await knownIdentity(loaded.config);
  if (known && !again) {
    print(
      `This machine is already enrolled as node ${known.nodeId}.\n` +
        `(If that node was deleted, \`${PROGRAM} enroll --again\` makes a new one.)\n`,
    );
    return 0;
  }
  using transport = await connect(loaded);
  const api = new EnrollmentApi(transport, loaded.config.requestTimeoutMs);
  const place = { loaded, api, warn: complain };

  const credentials = await goOnWithPending(place) ?? await startAnew(place, email);
  await completeEnrollment(place, credentials);
  print(
    `Approved: this machine is node ${credentials.nodeId}.\n` +
      `Its identity is saved in ${await Deno.realPath(loaded.config.stateFile)}.\n` +
      `Now start the agent with \`${PROGRAM} run\`.\n`,
  );
  return 0;
}

/** `undefined` when no enrollment is pending, or the one that was has ended. */
async function goOnWithPending(place: EnrollmentPlace): Promise<Credentials | undefined> {
  const { config, path } = place.loaded;
  if (!config.enrollmentToken) return undefined;
  print(
    "Going on with the enrollment that was begun before.\n" +
      `(To enroll with another address, remove enrollment_token from ${path} first.)\n`,
  );
  using interruption = interruptible(path);
  try {
    return await waitFor(place, config.enrollmentToken, interruption.signal);
  } catch (error) {
    if (!(error instanceof EnrollmentEndedError) || error.end === "rejected") throw error;
    print(`That enrollment can no longer be used (${error.end}): a new one is started.\n`);
    return undefined;
  }
}

async function startAnew(place: EnrollmentPlace, given?: string): Promise<Credentials> {
  const email = given ?? await askForEmail();
  const hostname = hostnameForEnrollment();
  const facts = await readHostFacts();
  using interruption = interruptible(place.loaded.path);
  for (let renewed = false;; renewed = true) {
    const request = { email, hostname, facts };
    const initiated = await initiateEnrollment(place, request, { signal: interruption.signal });
    print(
      `Enrollment token: ${initiated.token}\n${expiry(initiated)}` +
        `Now approve ${hostname} in the Noderax web app, signed in as ${email}.\n`,
    );
    try {
      return await waitFor(place, initiated.token, interruption.signal);
    } catch (error) {
      const expired = error instanceof EnrollmentEndedError && error.end === "expired";
      if (!expired || renewed) throw error;
      print("The enrollment has expired: a new one is started.\n");
    }
  }
}

async function askForEmail(): Promise<string> {
  print(QUESTION);
  for await (const line of readLines(Deno.stdin.readable)) {
    const answer = line.trim();
    if (Email.safeParse(answer).success) return answer;
    print(answer ? `"${answer}" is no email address.\n` : "An email address is needed.\n");
    print(QUESTION);
  }
  print("\n");
  throw new UserError(
    `No email address was given: run \`${PROGRAM} enroll --email me@example.com\`.`,
  );
}

async function waitFor(
  place: EnrollmentPlace,
  token: string,
  signal: AbortSignal,
): Promise<Credentials> {
  const columns = Deno.stdout.isTerminal() ? Deno.consoleSize().columns || 80 : undefined;
  using progress = new Progress({ write: print, columns });
  const onWaiting = (report: WaitingReport) => progress.show(waitingLine(report));
  return await awaitApproval(place, token, { signal, onWaiting });
}

function waitingLine({ waitedMs, remainingMs, problem }: WaitingReport): string {
  const rest = problem ? `; no answer just now: ${problem}` : "";
  return `Waiting for the approval: ${clock(waitedMs)}, ${clock(remainingMs)} left${rest}`;
}

function expiry({ expiresAt }: InitiatedEnrollment): string {
  const minutes = Math.round((Date.parse(expiresAt) - Date.now()) / 60_000);
  const left = minutes > 0 ? ` (${minutes} minute${minutes === 1 ? "" : "s"} left)` : "";
  return `It expires at ${expiresAt}${left}.\n`;
}

function interruptible(configPath: string): Interruption {
  return new Interruption(
    `Stopped waiting: the token is kept in ${configPath}, and \`${PROGRAM} enroll\` or ` +
      `\`${PROGRAM} run\` goes on with it.`,
  );
}
