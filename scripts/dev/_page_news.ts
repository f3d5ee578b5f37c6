import type { FaultSwitches } from "./_fault_switches.ts";
import { nestedMetrics } from "./_realtime_rules.ts";
import { claimBody } from "./_rules.ts";
import type { ControlPlane, Node, Task, Terminal, TimedMetrics } from "./control_plane.ts";
import type {
  Entry,
  HealthNews,
  News,
  NodeNews,
  Sample,
  TaskNews,
  TerminalNews,
} from "./page/messages.ts";

/** Log entries in one message. */
const MAX_ENTRIES = 5_000;
/** A longer result is cut: a list of packages has thousands of lines. */
const MAX_RESULT = 2_000_000;

/** What makes a result worth showing: all else in one is shown elsewhere. */
const SHOWN_RESULTS = ["packages", "results", "entries"];

/** Where the news come from and go to. */
export interface PageNewsParts {
  readonly controlPlane: ControlPlane;
  readonly faults: FaultSwitches;
  /** What the agent says of itself. */
  health(): HealthNews | undefined;
  send(news: News[]): void;
}

/** Tells one page what it does not know yet. */
export class PageNews {
  readonly #parts: PageNewsParts;
  readonly #told = new Map<string, string>();
  /** The state in which each task was told last. */
  readonly #lastTold: Task["status"][] = [];
  #followed: string | undefined;
  /** Whether the page knows that the task it follows has no more lines than it was told. */
  #hasToldLogs = false;
  #toldLogs = 0;
  #samplesUntil = 0;
  #news: News[] = [];

  /** A page that knows nothing. */
  constructor(parts: PageNewsParts) {
    this.#parts = parts;
  }

  /** From now on the log of this task is told, from its beginning. */
  follow(id: string): void {
    this.#parts.controlPlane.task(id);
    this.#followed = id;
    this.#hasToldLogs = false;
    this.#toldLogs = 0;
  }

  /** Tells what has changed since the last time, except about terminals. */
  tell(): void {
    const { controlPlane, faults, health, send } = this.#parts;
    const { nodes, tasks, violations, realtime, url } = controlPlane;
    const node = nodes.at(-1);
    if (node) {
      const connected = realtime.sockets.some(({ nodeId }) => nodeId === node.nodeId);
      this.#once("node", nodeNews(node, connected, url));
      this.#samples(realtime.metrics(node.nodeId));
    }
    this.#once("health", health());
    this.#once("faults", faults.state);
    this.#once("violations", {
      type: "violations",
      count: violations.length,
      last: violations.slice(-5),
    });
    tasks.forEach((task, index) => {
      // A task that has been told in this state has nothing new: thousands may be here.
      if (this.#lastTold[index] === task.status) return;
      this.#lastTold[index] = task.status;
      this.#news.push(taskNews(task, index + 1));
    });
    if (this.#followed) this.#logs(controlPlane.task(this.#followed));
    if (this.#news.length > 0) send(this.#news);
    this.#news = [];
  }

  #once(key: string, news: News | undefined): void {
    const text = JSON.stringify(news);
    if (news === undefined || this.#told.get(key) === text) return;
    this.#told.set(key, text);
    this.#news.push(news);
  }

  #samples(metrics: readonly TimedMetrics[]): void {
    const start = metrics.findLastIndex(({ at }) => at <= this.#samplesUntil) + 1;
    if (start === metrics.length) return;
    this.#samplesUntil = metrics.at(-1)?.at ?? this.#samplesUntil;
    this.#news.push({ type: "samples", samples: metrics.slice(start).map(sample) });
  }

  #logs({ id, logs }: Readonly<Task>): void {
    while (this.#toldLogs < logs.length || !this.#hasToldLogs) {
      this.#hasToldLogs = true;
      const from = this.#toldLogs;
      const entries = logs.slice(from, from + MAX_ENTRIES).map(entry);
      this.#toldLogs += entries.length;
      this.#news.push({ type: "logs", id, from, entries });
    }
  }
}

function entry({ stream, line, timestamp, receivedAt }: Task["logs"][number]): Entry {
  return [stream, line, timestamp === undefined ? receivedAt : Date.parse(timestamp)];
}

function nodeNews(
  node: Node & { status: "online" | "offline" },
  connected: boolean,
  controlPlane: string,
): NodeNews {
  const { nodeId, hostname, status, lastSeenAt, maintenance, agentVersion, kernelVersion } = node;
  const { os } = node.additionalInfo;
  const platform = platformName(typeof os === "string" ? os : "", node.platformVersion);
  const profile = node.rootAccess?.profile ?? null;
  const said = claimBody.shape.rootAccess.safeParse(node.appliedRootAccess).data;
  const rootAccess = said
    ? { appliedProfile: said.appliedProfile ?? undefined, lastError: said.lastError ?? undefined }
    : undefined;
  const state = { lastSeenAt, maintenance, profile, rootAccess };
  const known = { agentVersion, platform, kernelVersion, ...state };
  return { type: "node", nodeId, hostname, status, connected, ...known, controlPlane };
}

/** `debian` and `12.11` as `Debian 12.11`. */
function platformName(os: string, version: string | undefined): string | undefined {
  if (version?.toLowerCase().startsWith(os.toLowerCase())) return version;
  const name = os && os[0]?.toUpperCase() + os.slice(1);
  return [name, version].filter((it) => it).join(" ") || undefined;
}

function taskNews(task: Readonly<Task>, number: number): TaskNews {
  const { id, status, createdAt, startedAt, endedAt, reason } = task;
  const { exitCode, error } = task.result ?? {};
  const text = SHOWN_RESULTS.some((name) => task.result && name in task.result)
    ? JSON.stringify(task.result, null, 2)
    : undefined;
  return {
    type: "task",
    id,
    number,
    title: taskTitle(task),
    status,
    createdAt,
    startedAt,
    endedAt,
    exitCode: typeof exitCode === "number" ? exitCode : undefined,
    note: typeof error === "string" ? error : reason,
    result: text?.slice(0, MAX_RESULT),
  };
}

/** A task in a few words: its command, or its type and what it is about. */
export function taskTitle({ type, payload }: Pick<Task, "type" | "payload">): string {
  const { command, query, names, sourcePresetId } = payload;
  if (type === "shell.exec" && typeof command === "string") return command;
  const what = query ?? (Array.isArray(names) ? names.join(" ") : names) ?? sourcePresetId;
  if (what !== undefined) return `${type} ${what}`;
  return Object.keys(payload).length > 0 ? `${type} ${JSON.stringify(payload)}` : type;
}

/** What a page is told about a terminal. */
export function terminalNews(terminal: Terminal, isNew: boolean): TerminalNews {
  const { sessionId, status, exited, error, stopReason, ended, sizes } = terminal;
  const exit = exited?.exitCode === undefined ? undefined : `exit code ${exited.exitCode}`;
  const note = error ?? [exit, exited?.reason, stopReason].filter((it) => it).join(", ");
  const news: TerminalNews = {
    type: "terminal",
    sessionId,
    status,
    note: ended ? note : undefined,
  };
  return isNew ? { ...news, sizes: [...sizes] } : news;
}

function sample(metrics: TimedMetrics): Sample {
  const { cpuUsage: cpu, memoryUsage: memory, diskUsage: disk, collectedAt } = metrics;
  return {
    at: collectedAt ? Date.parse(collectedAt) : metrics.at,
    cpu,
    memory,
    disk,
    temperature: metrics.temperature ?? undefined,
    memoryUsed: number(metrics.memory?.usedBytes),
    memoryTotal: number(metrics.memory?.totalBytes),
    diskUsed: number(metrics.disk?.usedBytes),
    diskTotal: number(metrics.disk?.totalBytes),
    networks: interfacesOf(metrics).filter((it) => it.interface !== "lo").map((it) => [
      String(it.interface),
      number(it.bytesRecv) ?? 0,
      number(it.bytesSent) ?? 0,
    ]),
  };
}

function interfacesOf({ networks, networkStats }: TimedMetrics): Record<string, unknown>[] {
  const stats = nestedMetrics.safeParse({ networkStats }).data?.networkStats ?? networks ?? [];
  return Array.isArray(stats) ? stats : stats.interfaces;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
