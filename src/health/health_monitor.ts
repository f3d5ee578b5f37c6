import { dirname, resolve } from "@std/path";
import type { Config, RunningConfig } from "../config/mod.ts";
import { MAX_CLAIM_WAIT_MS } from "../control_plane/agent_api.ts";
import { CallStats } from "../control_plane/call_stats.ts";
import { ASKED_CHANCE, LONGEST_TURN } from "../control_plane/reachability.ts";
import type { Completion } from "../control_plane/schemas.ts";
import type { RealtimeSnapshot } from "../realtime/realtime_link.ts";
import { settlesWithin } from "../system/deadline.ts";
import { oneLine } from "../system/text.ts";
import { VERSION } from "../system/version.ts";
import type { TasksSnapshot } from "../tasks/task_manager.ts";
import type { AgentStatus, TaskUsage } from "./agent_status.ts";
import { type Health, type HealthFacts, judge, type Judgement } from "./verdict.ts";

/** The longest pause between two calls, where the credentials are refused, in milliseconds. */
const LONGEST_PAUSE_MS = 60_000;
/** A busy machine is given this much more time, in milliseconds. */
const MARGIN_MS = 30_000;
/** How much later than it must an answer may come, in milliseconds. */
const LATE_MS = 5_000;

/** What tells nobody what it does, and is asked when somebody wants to know. */
export interface Sources {
  /** Who this node is. */
  nodeId: string;
  /** The tasks; those that ended are told by {@linkcode HealthMonitor.taskEnded}. */
  tasks: () => TasksSnapshot;
  /** What those that run have used so far, by their ids. */
  taskUsage?: () => Promise<Map<string, TaskUsage>>;
  /** The realtime session, once there is one. */
  realtime: () => RealtimeSnapshot | undefined;
  /** How many terminals are open. */
  terminals: () => number;
  /** The root access profile in force. */
  rootAccess: () => string | undefined;
  /** Where tasks run. */
  isolation?: AgentStatus["isolation"];
}

/** How long whoever asks waits for what tasks have used, in milliseconds. */
const USAGE_MS = 1_000;
const NO_TASKS = { running: [], reporting: 0, backlogBytes: 0 };

/** How the agent is: its loops tell what happens, and whoever asks gets a picture of it. */
export class HealthMonitor {
  /** The heartbeats. */
  readonly heartbeats: CallStats;
  /** The claims. */
  readonly claims: CallStats;
  /** The questions for the enrollment's approval. */
  readonly approval: CallStats;
  /** Called after each change that a person might want to see. */
  onChange: () => void = () => {};
  /** Called when the state folder can be written again. */
  onWritable: () => void = () => {};
  readonly #running: RunningConfig;
  readonly #now: () => number;
  readonly #startedMs: number;
  readonly #ended = { success: 0, failed: 0, cancelled: 0, timeout: 0 };
  #phase: AgentStatus["phase"] = "running";
  #sources: Sources | undefined;
  #diskFull: { what: string; sinceMs: number } | undefined;
  #lockedDown: string | undefined;
  #diskRefused: { what: string; sinceMs: number } | undefined;

  /** `now` is a clock that only goes forward, in milliseconds. */
  constructor(config: RunningConfig, now: () => number = () => performance.now()) {
    this.#running = config;
    this.#now = now;
    this.#startedMs = now();
    const onChange = () => this.onChange();
    this.heartbeats = new CallStats(now, onChange);
    this.claims = new CallStats(now, onChange);
    this.approval = new CallStats(now, onChange);
  }

  /** What the agent is at. */
  get phase(): AgentStatus["phase"] {
    return this.#phase;
  }

  /** Notes what the agent is at from now on. */
  enter(phase: AgentStatus["phase"]): void {
    this.#phase = phase;
    this.claims.begin();
    this.approval.begin();
    this.onChange();
  }

  /** From now on these are asked. */
  ask(sources: Sources): void {
    this.#sources = sources;
  }

  /** Notes that a task has ended. */
  taskEnded(status: Completion["status"]): void {
    this.#ended[status]++;
    this.onChange();
  }

  /**
   * Says why the agent is not alive; undefined while it is. Asking proves that the event loop
   * turns: what is looked at is whether the loop of calls that it lives from does.
   */
  get notAlive(): string | undefined {
    if (this.#phase === "stopping") return undefined;
    const waiting = this.#phase === "waiting for approval";
    const { silentMs, askedMs } = waiting ? this.approval : this.claims;
    const turnMs = waiting ? 0 : LONGEST_TURN * this.#config.reconnectSpreadMs;
    const leftAloneMs = (1 + ASKED_CHANCE) * askedMs;
    const limitMs = this.#callMs(waiting) + LONGEST_PAUSE_MS + turnMs + leftAloneMs + MARGIN_MS;
    if (silentMs <= limitMs) return undefined;
    const what = waiting ? "question for the approval" : "claim";
    return `no ${what} has come to an end for ${Math.round(silentMs / 1_000)} s`;
  }

  /** How the agent is. */
  get health(): Health {
    const { sinceMs, ...health } = this.#judgement();
    return { ...health, ...(sinceMs === undefined ? {} : { since: this.#wall(sinceMs) }) };
  }

  /** Notes what was seen of the state folder's disk; undefined while it has room. */
  diskSeen(full: string | undefined): void {
    if (full === this.#diskFull?.what) return;
    this.#diskFull = full === undefined ? undefined : { what: full, sinceMs: this.#now() };
    this.onChange();
  }

  /** Whether the state folder could not be written the last time that it was tried. */
  get diskRefuses(): boolean {
    return this.#diskRefused !== undefined;
  }

  /** Notes why the state folder could not be written; undefined when it could be again. */
  diskRefused(why: string | undefined): void {
    if (this.diskRefuses === (why !== undefined)) return;
    const what = `the state folder cannot be written: ${oneLine(why ?? "")}`;
    this.#diskRefused = why === undefined ? undefined : { what, sinceMs: this.#now() };
    this.onChange();
    if (why === undefined) this.onWritable();
  }

  /** Notes that the sandbox of the service binds tasks as well, because they are no units. */
  lockedDown(why: string): void {
    this.#lockedDown = why;
    this.onChange();
  }

  #judgement(): Judgement {
    const failures = this.#watched().filter(({ failing }) => failing)
      .flatMap(({ failure }) => failure ?? []);
    const refused = failures.find(({ kind }) => kind === "refused");
    return judge({
      phase: this.#phase,
      notAlive: this.notAlive,
      answers: this.controlPlaneAnswers,
      answered: this.#watched().some(({ answeredMs }) => answeredMs !== undefined),
      failure: refused ?? failures[0],
      failingLoop: this.#failingLoop(),
      lockedDown: this.#lockedDown,
      diskFull: this.#diskFull,
      diskRefused: this.#diskRefused,
      realtime: { enabled: this.#config.realtimeEnabled, ...this.#realtimeSnapshot() },
    });
  }

  /** Whether the control plane has answered lately. */
  get controlPlaneAnswers(): boolean {
    const answeredMs = Math.max(...this.#watched().map(({ answeredMs = -Infinity }) => answeredMs));
    return this.#now() - answeredMs <= (this.claims.paused ? this.#beatMs : this.#claimMs);
  }

  /** The loop that has nothing but failures for longer than it may; the claims weigh more. */
  #failingLoop(): HealthFacts["failingLoop"] {
    if (this.#phase !== "running") return undefined;
    const { claims, heartbeats } = this;
    if (claims.failure && claims.failingForMs > this.#claimMs) {
      return { loop: "claims", ...claims.failure };
    }
    if (heartbeats.failure && heartbeats.failingForMs > this.#beatMs) {
      return { loop: "heartbeats", ...heartbeats.failure };
    }
    return undefined;
  }

  /** Within this time claims are answered, in milliseconds. */
  get #claimMs(): number {
    return this.#callMs(false) + LATE_MS;
  }

  /** Within this time heartbeats are answered, in milliseconds. */
  get #beatMs(): number {
    return this.#config.heartbeatIntervalMs + this.#config.requestTimeoutMs + LATE_MS;
  }

  /** How the agent is, in a few words on one line. */
  get sentence(): string {
    if (this.#phase !== "running") return this.#phase;
    const { running } = this.#sources?.tasks() ?? NO_TASKS;
    const tasks = running.length === 1 ? "1 task" : `${running.length} tasks`;
    const { state, what } = this.#judgement();
    return `${what === undefined ? state : `${state} (${what})`}, ${tasks}`;
  }

  /**
   * The picture that `/status` gives, with what the running tasks have used: that is looked up for
   * whoever asks, and left out where it cannot be had soon.
   */
  async measured(): Promise<AgentStatus> {
    const asked = this.#sources?.taskUsage?.().catch(() => undefined);
    const usage = asked && await settlesWithin(asked, USAGE_MS) ? await asked : undefined;
    const report = this.report();
    const running = report.tasks.running.map((task) => {
      const used = usage?.get(task.id);
      return used ? { ...task, used } : task;
    });
    return { ...report, tasks: { ...report.tasks, running } };
  }

  /** The same without what it takes time to look up. */
  report(): AgentStatus {
    const config = this.#config;
    const { health } = this;
    const { nodeId, tasks, terminals, rootAccess, isolation } = this.#sources ?? {};
    const rootProfile = rootAccess?.();
    return {
      version: VERSION,
      pid: Deno.pid,
      phase: this.#phase,
      startedAt: this.#wall(this.#startedMs),
      ...(nodeId === undefined ? {} : { nodeId }),
      apiUrl: config.apiUrl ?? "",
      health,
      ...(health.what === undefined ? {} : { notReady: health.what }),
      controlPlaneAnswers: this.controlPlaneAnswers,
      heartbeats: this.#calls(this.heartbeats),
      claims: this.#calls(this.claims),
      realtime: this.#realtime(),
      tasks: { ...(tasks?.() ?? NO_TASKS), ended: { ...this.#ended } },
      terminals: terminals?.() ?? 0,
      ...(rootProfile === undefined ? {} : { rootAccess: rootProfile }),
      ...(config.runAsUser === undefined ? {} : { runAsUser: config.runAsUser }),
      ...(isolation === undefined ? {} : { isolation }),
      needsRestart: this.#running.needsRestart,
      configFile: this.#running.started.path,
      stateFolder: dirname(resolve(config.stateFile)),
    };
  }

  get #config(): Config {
    return this.#running.now;
  }

  /** How long one call may take, in milliseconds: a claim is held. */
  #callMs(isQuestion: boolean): number {
    const { taskPollIntervalMs, requestTimeoutMs } = this.#config;
    return requestTimeoutMs + (isQuestion ? 0 : Math.min(taskPollIntervalMs, MAX_CLAIM_WAIT_MS));
  }

  /** The calls by which it is known whether the control plane answers. */
  #watched(): CallStats[] {
    return this.#phase === "waiting for approval"
      ? [this.approval]
      : [this.claims, this.heartbeats];
  }

  #realtimeSnapshot(): RealtimeSnapshot | { connected: false } {
    const now = this.#sources?.realtime();
    if (!now) return { connected: false };
    return now.problem === undefined ? now : { ...now, problem: oneLine(now.problem) };
  }

  #realtime(): AgentStatus["realtime"] {
    const enabled = this.#config.realtimeEnabled;
    const now = this.#sources?.realtime();
    if (!now) return { enabled, connected: false };
    const { connected, sinceMs, problem } = now;
    const since = this.#wall(sinceMs);
    return {
      enabled,
      connected,
      since,
      ...(problem === undefined ? {} : { problem: oneLine(problem) }),
    };
  }

  #calls({ answers, failures, answeredMs, failing, failure }: CallStats): AgentStatus["claims"] {
    return {
      answers,
      failures,
      failing,
      ...(answeredMs === undefined ? {} : { answeredAt: this.#wall(answeredMs) }),
      ...(failure ? { lastFailure: { at: this.#wall(failure.atMs), why: failure.why } } : {}),
    };
  }

  /** The time of day for one of the clock that only goes forward. */
  #wall(ms: number): string {
    return new Date(Date.now() - (this.#now() - ms)).toISOString();
  }
}
