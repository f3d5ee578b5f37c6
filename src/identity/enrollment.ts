import { delay } from "@std/async";
import { type LoadedConfig, type ReadEnv, saveConfig } from "../config/mod.ts";
import type { Credentials, EnrollmentApi } from "../control_plane/agent_api.ts";
import { Backoff } from "../system/backoff.ts";
import {
  isTransient,
  leaveAloneMs,
  RefusedError,
  UnusableAnswerError,
} from "../control_plane/errors.ts";
import type { EnrollmentStatus, InitiatedEnrollment, NodeFacts } from "../control_plane/schemas.ts";
import { writeFileAtomic } from "../system/atomic_file.ts";
import { messageOf, UserError } from "../system/user_error.ts";
import { writeIdentity } from "./identity_file.ts";

/** How an enrollment can end without the machine being let in (contract: Enrollment). */
export type EnrollmentEnd = "revoked" | "rejected" | "expired" | "unknown";

const ENDS = new Map<string, EnrollmentEnd>([
  ["revoked", "revoked"],
  ["rejected", "rejected"],
  ["denied", "rejected"],
  ["expired", "expired"],
]);

const SENTENCES: Record<EnrollmentEnd, string> = {
  revoked: "The enrollment was revoked, perhaps by a newer one of this machine: " +
    "run `noderax-agent enroll` to start a new one.",
  rejected: "The enrollment was rejected in the Noderax web app: " +
    "ask whoever rejected it, then run `noderax-agent enroll` again.",
  expired: "The enrollment expired before anybody approved it: " +
    "run `noderax-agent enroll` and approve it within 15 minutes.",
  unknown: "The control plane does not know this enrollment: check that api_url is the one " +
    "it was started with, then run `noderax-agent enroll` to start a new one.",
};

const CONFLICT =
  "The enrollment is still pending. If the Noderax web app says that a node with this " +
  "hostname already exists, delete or rename that node there, then approve again.";

/** The enrollment has ended for good; waiting longer cannot help. */
export class EnrollmentEndedError extends UserError {
  /** How it ended. */
  readonly end: EnrollmentEnd;

  /** Makes one with the sentence for this end. */
  constructor(end: EnrollmentEnd) {
    super(SENTENCES[end]);
    this.end = end;
  }
}

/** What is heard while an enrollment waits for its approval. */
export interface WaitingReport {
  /** How long it has been waited for, in milliseconds. */
  waitedMs: number;
  /** How long it will still be waited for, in milliseconds. */
  remainingMs: number;
  /** Why the latest question was not answered; the wait goes on. */
  problem?: string;
}

/** Where an enrollment takes place. */
export interface EnrollmentPlace {
  /** The configuration that keeps the pending token and, at last, the credentials. */
  loaded: LoadedConfig;
  /** The control plane. */
  api: Pick<EnrollmentApi, "initiate" | "status">;
  /** The environment, for the configuration's mirror; the process's own unless told. */
  env?: ReadEnv;
  /** Hears of what did not stop anything, in sentences. */
  warn: (sentence: string) => void;
}

/** How {@linkcode awaitApproval} waits. */
export interface WaitOptions {
  /** Called after each question that brought no decision. */
  onWaiting?: (report: WaitingReport) => void;
  /** Ends the wait early; its reason is thrown and the token stays good. */
  signal?: AbortSignal;
  /** Pause between two questions, in milliseconds (contract: 5 s). */
  intervalMs?: number;
  /** Pause after the control plane asked for fewer questions (429), in milliseconds. */
  throttledMs?: number;
  /** After so long an approval that stays away may be one that is refused to its operator. */
  conflictMs?: number;
  /** After so long the wait is given up, in milliseconds (contract: 10 min). */
  limitMs?: number;
  /** A clock that only goes forward, in milliseconds. */
  now?: () => number;
}

/**
 * Asks the control plane to let this machine in and saves the pending token into the configuration,
 * so that any later process can go on with it. A control plane that answers with a fault, or is asked
 * too often, is asked again for `retryMs` milliseconds; one that is not there may be the wrong one.
 *
 * Throws a {@linkcode UserError} when the control plane does not take it, and the signal's reason.
 */
export async function initiateEnrollment(
  { loaded, api, env, warn }: EnrollmentPlace,
  request: { email: string; hostname: string; facts: NodeFacts },
  { retryMs = 30_000, signal }: { retryMs?: number; signal?: AbortSignal } = {},
): Promise<InitiatedEnrollment> {
  const { email, hostname, facts } = request;
  await provePlace(loaded);
  const endMs = performance.now() + retryMs;
  const backoff = new Backoff({ firstMs: 2_000, maxMs: 8_000 });
  for (let tries = 1;; tries++) {
    try {
      const initiated = await api.initiate({ email, hostname, additionalInfo: facts }, signal);
      await save({ loaded, env, warn }, { enrollment_token: initiated.token });
      return initiated;
    } catch (cause) {
      if (cause instanceof UserError) throw cause;
      signal?.throwIfAborted();
      const mayPass = cause instanceof RefusedError && isTransient(cause);
      if (!mayPass || performance.now() >= endMs) {
        throw new UserError(initiateProblem(cause, loaded.config.apiUrl), { cause });
      }
      if (tries === 1) warn(`No answer yet (${problemOf(cause)}): trying again.`);
      await pause(leaveAloneMs(cause) + backoff.next(), signal);
    }
  }
}

/** More than the identity and the configuration need. */
const PROBE_BYTES = 65_536;

/**
 * Looks whether an identity and the configuration could be written, before the control plane is asked
 * for what would be lost otherwise.
 *
 * @throws {UserError} that names the file.
 */
export async function provePlace({ config, path }: LoadedConfig): Promise<void> {
  for (const file of [config.stateFile, path]) {
    try {
      const probe = `${file}.probe`;
      await writeFileAtomic(probe, " ".repeat(PROBE_BYTES));
      await Deno.remove(probe);
    } catch (cause) {
      throw new UserError(
        `${file} could not be written (${messageOf(cause)}): nothing was asked of the control ` +
          "plane; make its folder writable for this user, or name another file.",
        { cause },
      );
    }
  }
}

/**
 * Waits until the pending enrollment is approved: asks at once and then at intervals, through
 * failed questions and throttling.
 *
 * Throws {@linkcode EnrollmentEndedError} when it ends otherwise, having removed the token from the
 * configuration, and {@linkcode UserError} when nobody decides in time: the token is kept then.
 */
export async function awaitApproval(
  place: EnrollmentPlace,
  token: string,
  options: WaitOptions = {},
): Promise<Credentials> {
  const { intervalMs = 5_000, throttledMs = 15_000, limitMs = 600_000, signal } = options;
  const { now = () => performance.now(), onWaiting, conflictMs = 120_000 } = options;
  const startedAt = now();
  let isHinted = false;
  while (true) {
    let pauseMs = intervalMs;
    let problem: string | undefined;
    try {
      const credentials = decide(await place.api.status(token, signal));
      if (credentials) return credentials;
    } catch (error) {
      signal?.throwIfAborted();
      const final = finalProblem(error);
      if (final instanceof EnrollmentEndedError) await forgetToken(place);
      if (final) throw final;
      if (error instanceof RefusedError && error.status === 429) pauseMs = throttledMs;
      pauseMs = Math.max(pauseMs, leaveAloneMs(error));
      problem = problemOf(error);
    }
    signal?.throwIfAborted();
    const waitedMs = now() - startedAt;
    const remainingMs = limitMs - waitedMs;
    if (remainingMs <= 0) {
      throw new UserError(
        (problem === undefined
          ? "Nobody has approved the enrollment yet: approve it in the Noderax web app."
          : `The control plane does not say where the enrollment stands (${problem}): ` +
            "check api_url and the network.") +
          " Its token is kept; `noderax-agent enroll` and `noderax-agent run` continue it.",
      );
    }
    if (!isHinted && problem === undefined && waitedMs >= conflictMs) {
      // An operator's conflict is not told to the machine (contract: Realtime, rules).
      place.warn(CONFLICT);
      isHinted = true;
    }
    onWaiting?.({ waitedMs, remainingMs, ...(problem === undefined ? {} : { problem }) });
    await pause(Math.min(pauseMs, remainingMs), signal);
  }
}

/**
 * Keeps what the approval brought: the identity file first, then the configuration, where the
 * pending token goes. A death in between is harmless, for the identity file counts.
 */
export async function completeEnrollment(
  place: EnrollmentPlace,
  credentials: Credentials,
  now: () => Date = () => new Date(),
): Promise<void> {
  const { loaded, warn } = place;
  const registeredAt = now().toISOString();
  await writeIdentity(loaded.config.stateFile, { ...credentials, registeredAt });
  const { nodeId, agentToken } = credentials;
  try {
    await save(place, { node_id: nodeId, agent_token: agentToken, enrollment_token: null });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    // The agent may run as an account that must not write its configuration.
    warn(`The identity is saved, but not in the configuration: ${error.message}`);
  }
}

function decide(answer: EnrollmentStatus): Credentials | undefined {
  if ("nodeId" in answer) return { nodeId: answer.nodeId, agentToken: answer.agentToken };
  const end = ENDS.get(answer.status);
  if (end) throw new EnrollmentEndedError(end);
  return undefined;
}

/** What ends the wait; `undefined` when the next question may be answered. */
function finalProblem(error: unknown): unknown {
  if (isTransient(error)) return undefined;
  if (!(error instanceof RefusedError)) return error;
  // A proxy's 404 says nothing of the token.
  if (error.status === 404) return error.isOwn ? new EnrollmentEndedError("unknown") : undefined;
  const message = `The control plane refused to say where the enrollment stands (HTTP ` +
    `${error.status}: ${error.message}): check api_url, then run \`noderax-agent enroll\` again.`;
  return new UserError(message, { cause: error });
}

/** Without the call, whose path may hold the token. */
function problemOf(error: unknown): string {
  return messageOf(error).replace(/^[A-Z]+ \S+: /, "");
}

async function forgetToken(place: EnrollmentPlace): Promise<void> {
  const { loaded, warn } = place;
  const source = loaded.sources.enrollment_token;
  if (typeof source === "object" && "env" in source) {
    warn(`The environment still holds the ended enrollment: unset ${source.env}.`);
  }
  try {
    await save(place, { enrollment_token: null });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    warn(`The ended enrollment's token stays in the configuration: ${error.message}`);
  }
}

async function save(
  { loaded, env, warn }: Pick<EnrollmentPlace, "loaded" | "warn"> & { env?: ReadEnv | undefined },
  changes: Parameters<typeof saveConfig>[1],
): Promise<void> {
  const { warnings } = await saveConfig(loaded.path, changes, env ? { env } : {});
  warnings.forEach(warn);
}

function initiateProblem(error: unknown, apiUrl = "the control plane"): string {
  if (error instanceof UnusableAnswerError) {
    return `${apiUrl} answers, but ${problemOf(error)}: check api_url, then try again.`;
  }
  if (!(error instanceof RefusedError)) {
    return `${apiUrl} cannot be reached (${problemOf(error)}): check api_url and the network, ` +
      "then try again.";
  }
  if (error.status === 429) return `${apiUrl} is asked too often: try again in a minute.`;
  if (error.status >= 500) {
    return `${apiUrl} has a fault (${error.message}): try again in a few minutes.`;
  }
  return `${apiUrl} refused the enrollment (${error.message}): correct it and try again.`;
}

async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
}
