import * as z from "@zod/zod";
import type { Credentials } from "../control_plane/agent_api.ts";
import type { InitiatedEnrollment } from "../control_plane/schemas.ts";
import {
  awaitApproval,
  EnrollmentEndedError,
  type EnrollmentPlace,
  initiateEnrollment,
  type WaitingReport,
} from "../identity/enrollment.ts";
import { readNodeFacts } from "../identity/location.ts";
import { hostnameForEnrollment } from "../system/host_facts.ts";
import { oneLine } from "../system/text.ts";
import { EXIT_USAGE, UserError } from "../system/user_error.ts";
import { ask } from "./ask.ts";
import { Interruption } from "./interruption.ts";
import { print, PROGRAM } from "./output.ts";
import { clock, Progress } from "./progress.ts";

const QUESTION = "Email address of whoever approves this machine: ";
const Email = z.email();

/** What is known of the person whom {@linkcode converse} speaks with. */
export interface Conversation {
  /** The address whose owner approves; asked for only when a new enrollment is started. */
  email: () => Promise<string>;
  /** What is said when a Ctrl-C ends the wait. */
  interrupted: string;
}

/**
 * Enrolls this machine, telling the person what to do, and waits for the approval: goes on with a
 * pending enrollment, or starts a new one. Nothing of it is saved yet but the pending token.
 */
export async function converse(
  place: EnrollmentPlace,
  conversation: Conversation,
): Promise<Credentials> {
  return await goOnWithPending(place, conversation) ?? await startAnew(place, conversation);
}

/** `undefined` when no enrollment is pending, or the one that was has ended. */
async function goOnWithPending(
  place: EnrollmentPlace,
  { interrupted }: Conversation,
): Promise<Credentials | undefined> {
  const { config, path } = place.loaded;
  if (!config.enrollmentToken) return undefined;
  print(
    "Continuing the pending enrollment.\n" +
      `(To enroll with another address, remove enrollment_token from ${path} first.)\n`,
  );
  using interruption = new Interruption(interrupted);
  try {
    return await waitFor(place, config.enrollmentToken, interruption.signal);
  } catch (error) {
    if (!(error instanceof EnrollmentEndedError) || error.end === "rejected") throw error;
    print(`That enrollment can no longer be used (${error.end}): a new one is started.\n`);
    return undefined;
  }
}

async function startAnew(
  place: EnrollmentPlace,
  conversation: Conversation,
): Promise<Credentials> {
  const email = await conversation.email();
  const hostname = hostnameForEnrollment();
  const facts = await readNodeFacts(place.loaded.config);
  using interruption = new Interruption(conversation.interrupted);
  for (let renewed = false;; renewed = true) {
    const initiated = await begin(place, { email, hostname, facts });
    print(
      `Enrollment token: ${oneLine(initiated.token)}\n` +
        `Now approve ${hostname} in the Noderax web app${webApp(place)}, signed in as ${email}.\n`,
    );
    try {
      return await waitFor(place, initiated.token, interruption.signal, initiated.expiresAt);
    } catch (error) {
      const expired = error instanceof EnrollmentEndedError && error.end === "expired";
      if (!expired || renewed) throw error;
      print("The enrollment has expired: a new one is started.\n");
    }
  }
}

/** Until the token is here there is none that could be kept. */
async function begin(
  place: EnrollmentPlace,
  request: Parameters<typeof initiateEnrollment>[1],
): Promise<InitiatedEnrollment> {
  using interruption = new Interruption("Stopped before the enrollment was started.");
  return await initiateEnrollment(place, request, { signal: interruption.signal });
}

/** Throws a {@linkcode UserError} unless the `--email` that was given is an address. */
export function checkEmail(email: string | undefined): void {
  if (email === undefined || Email.safeParse(email).success) return;
  const message = `--email is "${email}", but must be an address such as me@example.com.`;
  throw new UserError(message, { exitCode: EXIT_USAGE });
}

/** Asks for the address; throws a {@linkcode UserError} when none is given. */
export async function askForEmail(
  lines: AsyncIterator<string>,
  command = "enroll",
): Promise<string> {
  const complaint = (answer: string) => {
    if (Email.safeParse(answer).success) return undefined;
    return answer ? `"${answer}" is not an email address.` : "An email address is needed.";
  };
  const email = await ask(QUESTION, complaint, lines);
  if (email !== undefined) return email;
  throw new UserError(
    `No email address was given: run \`${PROGRAM} ${command} --email me@example.com\`.`,
  );
}

async function waitFor(
  place: EnrollmentPlace,
  token: string,
  signal: AbortSignal,
  expiresAt = "",
): Promise<Credentials> {
  const columns = Deno.stdout.isTerminal() ? Deno.consoleSize().columns || 80 : undefined;
  using progress = new Progress({ write: print, columns });
  // It ends with the token or with the patience of this command, whichever comes first.
  const untilMs = Date.parse(expiresAt);
  const leftMs = () => isNaN(untilMs) ? Infinity : untilMs - Date.now();
  const onWaiting = (report: WaitingReport) => progress.show(waitingLine(report, leftMs()));
  const warn = (sentence: string) => {
    progress.clear();
    place.warn(sentence);
  };
  return await awaitApproval({ ...place, warn }, token, { signal, onWaiting });
}

function waitingLine({ remainingMs, problem }: WaitingReport, tokenMs: number): string {
  const rest = problem ? `; no answer just now: ${oneLine(problem)}` : "";
  return `Awaiting approval: ${clock(Math.min(remainingMs, tokenMs))} left${rest}`;
}

/** Where to open it, if the configuration says. */
function webApp({ loaded: { config: { webUrl } } }: EnrollmentPlace): string {
  return webUrl === undefined ? "" : ` at ${webUrl}`;
}
