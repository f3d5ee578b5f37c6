/** What the page and its server tell each other: JSON, and bytes of terminals as binary frames. */

/** A machine as it is shown; times are epoch milliseconds. */
export interface NodeNews {
  type: "node";
  nodeId: string;
  hostname: string;
  status: "online" | "offline";
  /** Whether it has an authenticated realtime socket: terminals need one. */
  connected: boolean;
  agentVersion?: string | undefined;
  platformVersion?: string | undefined;
  kernelVersion?: string | undefined;
  lastSeenAt?: number | undefined;
  controlPlane: string;
}

/** One snapshot; percentages are 0..100, sizes bytes, `received` and `sent` totals since boot. */
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
  received?: number | undefined;
  sent?: number | undefined;
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
}

/** A terminal session. */
export interface TerminalNews {
  type: "terminal";
  sessionId: string;
  status: "starting" | "open" | "stopping" | "closed" | "failed";
  /** How it ended. */
  note?: string | undefined;
  /** True for a page that does not know it yet: one binary frame with all its output follows. */
  isNew: boolean;
}

/** What the server tells. */
export type News =
  | NodeNews
  | TaskNews
  | TerminalNews
  | { type: "samples"; samples: Sample[] }
  | { type: "logs"; id: string; entries: { stream: string; line: string }[] }
  /** Breaches of the contract by the agent: how many, and the last ones. */
  | { type: "violations"; count: number; last: string[] }
  | { type: "problem"; message: string };

/** What the page asks for; keys go as binary frames. */
export type PageRequest =
  | { type: "run"; command: string }
  | { type: "cancel"; id: string }
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
