import { dirname, resolve } from "@std/path";
import type { Config, LoadedConfig } from "../config/mod.ts";
import { MAX_CLAIM_WAIT_MS } from "../control_plane/agent_api.ts";
import { CallStats } from "../control_plane/call_stats.ts";
import type { Completion } from "../control_plane/schemas.ts";
import type { RealtimeSnapshot } from "../realtime/realtime_session.ts";
import { oneLine } from "../system/one_line.ts";
import { VERSION } from "../system/version.ts";
import type { TasksSnapshot } from "../tasks/task_manager.ts";
import type { AgentStatus } from "./agent_status.ts";

/** The longest pause between two calls, where the credentials are refused, in milliseconds. */
const LONGEST_PAUSE_MS = 60_000;
/** A busy machine is given this much more time, in milliseconds. */
const MARGIN_MS = 30_000;
/** How much later than it must an answer may come, in milliseconds. */
const LATE_MS = 5_000;

/** What tells nobody what it does, and is asked when somebody wants to know. */
export interface Sources {
  /** The configuration as it is now. */
  config: () => Config;
  /** The keys of the configuration whose new values wait for a restart. */
  needsRestart: () => string[];
  /** Who this node is. */
  nodeId: string;
  /** The tasks; those that ended are told by {@linkcode HealthMonitor.taskEnded}. */
  tasks: () => TasksSnapshot;
  /** The realtime session, once there is one. */
  realtime: () => RealtimeSnapshot | undefined;
  /** How many terminals are open. */
  terminals: () => number;
  /** The root access profile in force. */
  rootAccess: () => string | undefined;
}

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
  readonly #loaded: LoadedConfig;
  readonly #now: () => number;
  readonly #startedMs: number;
  readonly #ended = { success: 0, failed: 0, cancelled: 0, timeout: 0 };
  #phase: AgentStatus["phase"] = "running";
  #sources: Sources | undefined;

  /** `now` is a clock that only goes forward, in milliseconds. */
  constructor(loaded: LoadedConfig, now: () => number = () => performance.now()) {
    this.#loaded = loaded;
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
    const { silentMs } = waiting ? this.approval : this.claims;
    const limitMs = this.#callMs(waiting) + LONGEST_PAUSE_MS + MARGIN_MS;
    if (silentMs <= limitMs) return undefined;
    const what = waiting ? "question for the approval" : "claim";
    return `no ${what} has come to an end for ${Math.round(silentMs / 1_000)} s`;
  }

  /** Says why the agent cannot be used now; undefined if it can. */
  get notReady(): string | undefined {
    if (this.#phase === "stopping") return "the agent is stopping";
    if (this.#phase === "waiting for approval") return "the enrollment waits for its approval";
    if (!this.controlPlaneAnswers) return this.#silence();
    const { enabled, connected, problem = "it is connecting" } = this.#realtime();
    return enabled && !connected ? `realtime is down: ${problem}` : undefined;
  }

  /** Whether the control plane has answered lately. */
  get controlPlaneAnswers(): boolean {
    const calls = this.#phase === "waiting for approval"
      ? [this.approval]
      : [this.heartbeats, this.claims];
    const answeredMs = Math.max(...calls.map(({ answeredMs = -Infinity }) => answeredMs));
    return this.#now() - answeredMs <= this.#callMs(false) + LATE_MS;
  }

  /** How the agent is, in a few words on one line. */
  get sentence(): string {
    if (this.#phase !== "running") return this.#phase;
    const bad = [this.claims, this.heartbeats].find(({ failing }) => failing)?.failure;
    const { running } = this.#sources?.tasks() ?? NO_TASKS;
    const tasks = running.length === 1 ? "1 task" : `${running.length} tasks`;
    return `${bad ? `control plane away (${bad.why})` : "connected"}, ${tasks}`;
  }

  /** The picture that `/status` gives. */
  report(): AgentStatus {
    const config = this.#config;
    const { notReady } = this;
    const { nodeId, tasks, terminals, rootAccess } = this.#sources ?? {};
    const rootProfile = rootAccess?.();
    return {
      version: VERSION,
      pid: Deno.pid,
      phase: this.#phase,
      startedAt: this.#wall(this.#startedMs),
      ...(nodeId === undefined ? {} : { nodeId }),
      apiUrl: config.apiUrl ?? "",
      ...(notReady === undefined ? {} : { notReady }),
      controlPlaneAnswers: this.controlPlaneAnswers,
      heartbeats: this.#calls(this.heartbeats),
      claims: this.#calls(this.claims),
      realtime: this.#realtime(),
      tasks: { ...(tasks?.() ?? NO_TASKS), ended: { ...this.#ended } },
      terminals: terminals?.() ?? 0,
      ...(rootProfile === undefined ? {} : { rootAccess: rootProfile }),
      ...(config.runAsUser === undefined ? {} : { runAsUser: config.runAsUser }),
      needsRestart: this.#sources?.needsRestart() ?? [],
      configFile: this.#loaded.path,
      stateFolder: dirname(resolve(this.#loaded.config.stateFile)),
    };
  }

  get #config(): Config {
    return this.#sources?.config() ?? this.#loaded.config;
  }

  /** How long one call may take, in milliseconds: a claim is held. */
  #callMs(isQuestion: boolean): number {
    const { taskPollIntervalMs, requestTimeoutMs } = this.#config;
    return requestTimeoutMs + (isQuestion ? 0 : Math.min(taskPollIntervalMs, MAX_CLAIM_WAIT_MS));
  }

  #silence(): string {
    const last = this.claims.failing ? this.claims.failure : this.heartbeats.failure;
    const { answeredMs } = this.claims;
    if (last) return `the control plane does not answer: ${last.why}`;
    return answeredMs === undefined
      ? "the control plane has not answered yet"
      : "the control plane does not answer";
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
