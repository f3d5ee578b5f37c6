import * as z from "@zod/zod";
import type { CallFailureKind } from "../control_plane/errors.ts";
import { SHARED_IDENTITY, SHARED_IDENTITY_FIX } from "../realtime/takeovers.ts";

/** What is wrong; `starting` and `stopping` pass by themselves. */
export const HealthCode = z.enum([
  "healthy",
  "starting",
  "stopping",
  "awaiting_approval",
  "not_running",
  "claim_loop_stalled",
  "credentials_refused",
  "control_plane_unreachable",
  "control_plane_answers_nonsense",
  "tasks_locked_down",
  "disk_full",
  "state_not_writable",
  "realtime_down",
  "identity_shared",
]);

/** The states of the verdict, the best one first. */
export const HEALTH_STATES = ["healthy", "degraded", "unhealthy"] as const;

/** The one verdict on the agent: what is wrong first, since when, and how to fix it. */
export const Health = z.object({
  state: z.enum(HEALTH_STATES),
  code: HealthCode,
  /** What is wrong, without a full stop; not there where nothing is. */
  what: z.string().optional(),
  /** Since when. */
  since: z.iso.datetime().optional(),
  /** What to do about it. */
  fix: z.string().optional(),
});
/** The one verdict on the agent. */
export type Health = z.infer<typeof Health>;

/** What the verdict is made from; times are those of a clock that only goes forward. */
export interface HealthFacts {
  /** What the agent is doing. */
  phase: "waiting for approval" | "running" | "stopping";
  /** Why the agent is not alive. */
  notAlive: string | undefined;
  /** Whether the control plane has answered lately. */
  answers: boolean;
  /** Whether it ever has. */
  answered: boolean;
  /** The failure of calls that is not over: the refused one first. */
  failure: { kind: CallFailureKind; why: string; sinceMs: number } | undefined;
  /** The loop whose calls have failed for too long, though others are answered. */
  failingLoop?: { loop: "claims" | "heartbeats" } & NonNullable<HealthFacts["failure"]> | undefined;
  /** Why the sandbox of the service binds tasks as well. */
  lockedDown?: string | undefined;
  /** Why nothing more can be written to the state folder, and since when. */
  diskFull: { what: string; sinceMs: number } | undefined;
  /** Why the state folder could not be written, and since when. */
  diskRefused?: { what: string; sinceMs: number } | undefined;
  /** The realtime session. */
  realtime: {
    enabled: boolean;
    connected: boolean;
    sinceMs?: number | undefined;
    problem?: string | undefined;
    /** Whether another machine seems to use this node's identity. */
    shared?: boolean | undefined;
  };
}

/** A verdict whose time is still the clock's. */
export type Judgement = Omit<Health, "since"> & { sinceMs?: number };

const PROBLEMS: Record<CallFailureKind, Pick<Judgement, "code" | "what" | "fix">> = {
  refused: {
    code: "credentials_refused",
    what: "the control plane refuses this node's credentials",
    fix: "if the node was deleted: sudo noderax-agent enroll --again, " +
      "then sudo noderax-agent restart",
  },
  nonsense: {
    code: "control_plane_answers_nonsense",
    what: "what answers at api_url is not the control plane",
    fix: "check the address: sudo noderax-agent config set api_url URL",
  },
  unreachable: {
    code: "control_plane_unreachable",
    what: "the control plane does not answer",
    fix: "find out where the connection ends: sudo noderax-agent doctor",
  },
};

/** Judges how the agent is; what weighs most is said. */
export function judge(facts: HealthFacts): Judgement {
  const { phase, notAlive, answers, failure, diskFull, realtime } = facts;
  if (phase === "stopping") {
    return { state: "degraded", code: "stopping", what: "the agent is stopping" };
  }
  if (notAlive !== undefined) {
    const fix = "sudo noderax-agent restart";
    return { state: "unhealthy", code: "claim_loop_stalled", what: notAlive, fix };
  }
  // An answer that is a refusal, or not the control plane's, is believed at once.
  if (failure && (failure.kind !== "unreachable" || !answers)) {
    const { kind, why, sinceMs } = failure;
    const problem = PROBLEMS[kind];
    const works = answers && facts.failingLoop?.loop !== "claims";
    const state = kind === "nonsense" && works ? "degraded" : "unhealthy";
    return { state, ...problem, what: `${problem.what}: ${why}`, sinceMs };
  }
  if (phase === "waiting for approval") {
    return {
      state: "degraded",
      code: "awaiting_approval",
      what: "the enrollment is awaiting approval",
      fix: "approve this machine in the Noderax web app",
    };
  }
  if (!answers) {
    if (facts.answered) return { state: "unhealthy", ...PROBLEMS.unreachable };
    const what = "the control plane has not answered yet";
    return { state: "degraded", code: "starting", what };
  }
  if (facts.failingLoop) {
    const { loop, why, kind, sinceMs } = facts.failingLoop;
    const state = loop === "claims" ? "unhealthy" : "degraded";
    return { state, ...PROBLEMS[kind], what: `all ${loop} fail: ${why}`, sinceMs };
  }
  if (facts.lockedDown !== undefined) {
    return {
      state: "degraded",
      code: "tasks_locked_down",
      what: `the sandbox of the service binds tasks and terminals: ${facts.lockedDown}`,
      fix: "sudo noderax-agent config set task_isolation auto, or make the unit anew: " +
        "sudo noderax-agent install",
    };
  }
  if (diskFull) {
    const fix = "free some space there: sudo noderax-agent doctor shows how much is left";
    return { state: "degraded", code: "disk_full", ...diskFull, fix };
  }
  if (facts.diskRefused) {
    const fix =
      "mount it writable, or free its quota: sudo noderax-agent doctor shows what is wrong";
    return { state: "degraded", code: "state_not_writable", ...facts.diskRefused, fix };
  }
  const { enabled, connected, sinceMs, problem } = realtime;
  if (enabled && realtime.shared) {
    return {
      state: "degraded",
      code: "identity_shared",
      what: SHARED_IDENTITY,
      fix: SHARED_IDENTITY_FIX,
    };
  }
  if (!enabled || connected) return { state: "healthy", code: "healthy" };
  if (problem === undefined) {
    return { state: "degraded", code: "starting", what: "realtime is down: it is connecting" };
  }
  return {
    state: "degraded",
    code: "realtime_down",
    what: `realtime is down: ${problem}`,
    ...(sinceMs === undefined ? {} : { sinceMs }),
    fix: "find out what stops it: sudo noderax-agent doctor",
  };
}

/** The verdict on one line. */
export function healthLine({ state, what, fix }: Pick<Health, "state" | "what" | "fix">): string {
  const words = what === undefined ? state : `${state}: ${what}`;
  return fix === undefined ? words : `${words} (fix: ${fix})`;
}
