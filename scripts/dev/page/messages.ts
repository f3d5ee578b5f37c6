/** What the page and its server tell each other: JSON, and bytes of terminals as binary frames. */

/** How a part of the agent does, worst last. */
export type Health = "healthy" | "degraded" | "unhealthy" | "unknown";

/** A machine as it is shown; times are epoch milliseconds. */
export interface NodeNews {
  type: "node";
  nodeId: string;
  hostname: string;
  status: "online" | "offline";
  /** Whether it has an authenticated realtime socket: terminals need one. */
  connected: boolean;
  agentVersion?: string | undefined;
  /** As people name it, e.g. `Debian 12.11`. */
  platform?: string | undefined;
  kernelVersion?: string | undefined;
  lastSeenAt?: number | undefined;
  maintenance: boolean;
  /** The root access profile that was asked for; null: none ever was. */
  profile: string | null;
  /** What the agent says became of it. */
  rootAccess?: { appliedProfile?: string | undefined; lastError?: string | undefined } | undefined;
  controlPlane: string;
}

/** The verdict on the agent, and what to do about it. */
export interface HealthNews {
  type: "health";
  health: Health;
  /** What is wrong. */
  problem?: string | undefined;
  fix?: string | undefined;
}

/** The faults that are switched on. */
export interface FaultsNews {
  type: "faults";
  /** Added to each request; 0: none. */
  latencyMs: number;
  /** How many percent of the requests are answered with 503. */
  errorPercent: number;
  /** The control plane is down. */
  outage: boolean;
}

/** One snapshot; percentages are 0..100, sizes bytes, counters of interfaces since boot. */
export interface Sample {
  at: number;
  cpu: number;
  memory: number;
  disk: number;
  temperature?: number | undefined;
  memoryUsed?: number | undefined;
  memoryTotal?: number | undefined;
  diskUsed?: number | undefined;
  diskTotal?: number | undefined;
  /** Name, bytes received and bytes sent of each interface but loopback. */
  networks: [name: string, received: number, sent: number][];
}

/** A task as it stands; times are epoch milliseconds. */
export interface TaskNews {
  type: "task";
  id: string;
  /** Counted from 1. */
  number: number;
  title: string;
  status: "queued" | "accepted" | "running" | "success" | "failed" | "cancelled";
  createdAt: number;
  startedAt?: number | undefined;
  endedAt?: number | undefined;
  exitCode?: number | undefined;
  /** Why it ended as it did. */
  note?: string | undefined;
  /** What a task without log lines had to say, as JSON: packages that were found, for example. */
  result?: string | undefined;
}

/** An entry of a log: one line, or several. */
export type Entry = [stream: string, text: string, at: number];

/** The size of a terminal from a byte of its output on. */
export type SizeAt = [at: number, cols: number, rows: number];

/** A terminal session. */
export interface TerminalNews {
  type: "terminal";
  sessionId: string;
  status: "starting" | "open" | "stopping" | "closed" | "failed";
  /** How it ended. */
  note?: string | undefined;
  /**
   * For a page that does not know it yet: the sizes it had, for one binary frame with all its output
   * follows.
   */
  sizes?: SizeAt[] | undefined;
}

/** What the server tells, many at once. */
export type News =
  | NodeNews
  | HealthNews
  | FaultsNews
  | TaskNews
  | TerminalNews
  | { type: "samples"; samples: Sample[] }
  /**
   * Further entries of the task that is followed; `from` counts those before. The first are told
   * also if there are none.
   */
  | { type: "logs"; id: string; from: number; entries: Entry[] }
  /** Breaches of the contract by the agent: how many, and the last ones. */
  | { type: "violations"; count: number; last: string[] }
  | { type: "problem"; message: string };

/** What the page asks for; keys go as binary frames. */
export type PageRequest =
  | { type: "run"; task: string; payload: Record<string, unknown> }
  | { type: "again"; id: string }
  | { type: "cancel"; id: string }
  | { type: "follow"; id: string }
  | { type: "latency"; ms: number }
  | { type: "errors"; percent: number }
  | { type: "outage"; on: boolean }
  | { type: "drop" }
  | { type: "maintenance"; on: boolean }
  | { type: "profile"; profile: string }
  | { type: "open"; cols: number; rows: number }
  | { type: "resize"; sessionId: string; cols: number; rows: number }
  | { type: "close"; sessionId: string };

const ID_LENGTH = 36;

/** A binary frame: the id of a session and bytes of its terminal. */
export function frame(sessionId: string, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(ID_LENGTH + bytes.length);
  new TextEncoder().encodeInto(sessionId, whole);
  whole.set(bytes, ID_LENGTH);
  return whole;
}

/** Takes a binary frame apart. */
export function unframe(whole: ArrayBuffer): { sessionId: string; bytes: Uint8Array } {
  const sessionId = new TextDecoder().decode(new Uint8Array(whole, 0, ID_LENGTH));
  return { sessionId, bytes: new Uint8Array(whole, ID_LENGTH) };
}
