import { nowMs } from "./_ledger.ts";

const MAX_EVENTS = 10_000;
/** Longer strings are told by their length: an event log must not hold a flood. */
const MAX_STRING = 200;

/** A realtime event that the control plane received; times are epoch milliseconds. */
export interface EventRecord {
  readonly event: string;
  readonly at: number;
  readonly socketId: string;
  /** The node the socket was authenticated for when it arrived. */
  readonly nodeId: string | undefined;
  /** The agent's token is masked, long strings are told by their length. */
  readonly payload: unknown;
  /** When it was handled. */
  endedAt?: number;
  /** The acknowledgement, sent or not; absent while it is handled and for refused credentials. */
  answer?: Record<string, unknown>;
}

/** The latest events. */
export class EventLog {
  /** Oldest first. */
  readonly records: EventRecord[] = [];

  /** Adds an event that has arrived. */
  add(
    event: string,
    payload: unknown,
    socketId: string,
    nodeId: string | undefined,
  ): EventRecord {
    const record: EventRecord = { event, at: nowMs(), socketId, nodeId, payload: short(payload) };
    if (this.records.push(record) > MAX_EVENTS * 1.1) {
      this.records.splice(0, this.records.length - MAX_EVENTS);
    }
    return record;
  }
}

function short(payload: unknown): unknown {
  if (typeof payload !== "object" || payload === null || Array.isArray(payload)) return payload;
  return Object.fromEntries(
    Object.entries(payload).map(([name, value]) => {
      if (name === "agentToken") return [name, "***"];
      const isLong = typeof value === "string" && value.length > MAX_STRING;
      return [name, isLong ? `(${value.length} characters)` : value];
    }),
  );
}
