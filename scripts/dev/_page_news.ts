import type { ControlPlane, Node, Task, Terminal, TimedMetrics } from "./control_plane.ts";
import type { News, NodeNews, Sample, TaskNews, TerminalNews } from "./page/messages.ts";

/** A page that is opened gets so many seconds of telemetry. */
const SAMPLES_MS = 5 * 60_000;
/** Log entries in one message. */
const MAX_ENTRIES = 500;

/** Tells one page what it does not know yet. */
export class PageNews {
  readonly #controlPlane: ControlPlane;
  readonly #send: (news: News) => void;
  readonly #told = new Map<string, string>();
  readonly #toldLogs = new Map<string, number>();
  #samplesUntil = Date.now() - SAMPLES_MS;

  /** A page that knows nothing. */
  constructor(controlPlane: ControlPlane, send: (news: News) => void) {
    this.#controlPlane = controlPlane;
    this.#send = send;
  }

  /** Tells what has changed since the last time, except about terminals. */
  tell(): void {
    const { nodes, tasks, violations, realtime, url } = this.#controlPlane;
    const node = nodes.at(-1);
    if (node) {
      const connected = realtime.sockets.some(({ nodeId }) => nodeId === node.nodeId);
      this.#once("node", nodeNews(node, connected, url));
      this.#samples(realtime.metrics(node.nodeId));
    }
    this.#once("violations", {
      type: "violations",
      count: violations.length,
      last: violations.slice(-5),
    });
    tasks.forEach((task, index) => {
      this.#once(task.id, taskNews(task, index + 1));
      this.#logs(task);
    });
  }

  #once(key: string, news: News): void {
    const text = JSON.stringify(news);
    if (this.#told.get(key) === text) return;
    this.#told.set(key, text);
    this.#send(news);
  }

  #samples(metrics: readonly TimedMetrics[]): void {
    const start = metrics.findLastIndex(({ at }) => at <= this.#samplesUntil) + 1;
    if (start === metrics.length) return;
    this.#samplesUntil = metrics.at(-1)?.at ?? this.#samplesUntil;
    this.#send({ type: "samples", samples: metrics.slice(start).map(sample) });
  }

  #logs({ id, logs }: Task): void {
    for (let told; (told = this.#toldLogs.get(id) ?? 0) < logs.length;) {
      const entries = logs.slice(told, told + MAX_ENTRIES);
      this.#toldLogs.set(id, told + entries.length);
      const shown = entries.map(({ stream, line }) => ({ stream, line }));
      this.#send({ type: "logs", id, entries: shown });
    }
  }
}

function nodeNews(
  node: Node & { status: "online" | "offline" },
  connected: boolean,
  controlPlane: string,
): NodeNews {
  const { nodeId, hostname, status, lastSeenAt } = node;
  const { agentVersion, platformVersion, kernelVersion } = node;
  const versions = { agentVersion, platformVersion, kernelVersion };
  return {
    type: "node",
    nodeId,
    hostname,
    status,
    connected,
    ...versions,
    lastSeenAt,
    controlPlane,
  };
}

function taskNews(task: Task, number: number): TaskNews {
  const { id, status, createdAt, startedAt, endedAt, reason, result } = task;
  const { exitCode, error } = result ?? {};
  const { command } = task.payload;
  return {
    type: "task",
    id,
    number,
    title: typeof command === "string" ? command : task.type,
    status,
    createdAt,
    startedAt,
    endedAt,
    exitCode: typeof exitCode === "number" ? exitCode : undefined,
    note: typeof error === "string" ? error : reason,
  };
}

/** What a page is told about a terminal. */
export function terminalNews(terminal: Terminal, isNew: boolean): TerminalNews {
  const { sessionId, status, exited, error, stopReason, ended } = terminal;
  const exit = exited?.exitCode === undefined ? undefined : `exit code ${exited.exitCode}`;
  const note = error ?? [exit, exited?.reason, stopReason].filter((it) => it).join(", ");
  return { type: "terminal", sessionId, status, note: ended ? note : undefined, isNew };
}

function sample(metrics: TimedMetrics): Sample {
  const { cpuUsage: cpu, memoryUsage: memory, diskUsage: disk, networks, collectedAt } = metrics;
  const outside = networks?.filter((it) => it.interface !== "lo");
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
    received: outside?.reduce((sum, it) => sum + (number(it.bytesRecv) ?? 0), 0),
    sent: outside?.reduce((sum, it) => sum + (number(it.bytesSent) ?? 0), 0),
  };
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
