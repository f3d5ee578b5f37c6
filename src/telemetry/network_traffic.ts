/** The kernel's table of network interfaces. */
export const NETWORK_FILE = "/proc/net/dev";
/** A host of many containers has an interface for each: the message must stay far below 1 MB. */
const MAX_INTERFACES = 200;

/** What went through an interface since it came up (contract: Realtime, `agent.metrics`). */
export interface NetworkCounters {
  /** Its name. */
  interface: string;
  /** Bytes that left. */
  bytesSent: number;
  /** Bytes that came. */
  bytesRecv: number;
  /** Packets that left. */
  packetsSent: number;
  /** Packets that came. */
  packetsRecv: number;
  /** Packets that came damaged. */
  errorsIn: number;
  /** Packets that could not be sent. */
  errorsOut: number;
  /** Packets that came and were thrown away. */
  dropIn: number;
  /** Packets that were thrown away instead of sent. */
  dropOut: number;
}

/**
 * What the machine's interfaces counted: the sums over all but the loopback one, of which nothing
 * leaves the machine, and each by itself. It is one object, as of two only one would be stored
 * (contract: networks and networkStats).
 */
export interface NetworkStats {
  /** Bytes that came. */
  rxBytes: number;
  /** Bytes that left. */
  txBytes: number;
  /** Packets that came. */
  rxPackets: number;
  /** Packets that left. */
  txPackets: number;
  /** Packets that came damaged. */
  errorsIn: number;
  /** Packets that could not be sent. */
  errorsOut: number;
  /** Packets that came and were thrown away. */
  dropIn: number;
  /** Packets that were thrown away instead of sent. */
  dropOut: number;
  /** Each interface in the kernel's order; of more than 200, those with the most traffic. */
  interfaces: NetworkCounters[];
}

/**
 * Parses {@linkcode NETWORK_FILE}.
 *
 * @throws when the text is not that table.
 */
export function parseNetworks(text: string): NetworkStats {
  if (!text.startsWith("Inter-|")) throw new Error(`${NETWORK_FILE} cannot be read`);
  const all = text.split("\n").flatMap(parseLine);
  const outward = all.filter((counters) => counters.interface !== "lo");
  return {
    rxBytes: sum(outward, "bytesRecv"),
    txBytes: sum(outward, "bytesSent"),
    rxPackets: sum(outward, "packetsRecv"),
    txPackets: sum(outward, "packetsSent"),
    errorsIn: sum(outward, "errorsIn"),
    errorsOut: sum(outward, "errorsOut"),
    dropIn: sum(outward, "dropIn"),
    dropOut: sum(outward, "dropOut"),
    interfaces: all.length > MAX_INTERFACES ? busiest(all) : all,
  };
}

/** `  eth0:123 4 …`: eight counters of what came, then eight of what was sent; a name has no spaces. */
function parseLine(line: string): NetworkCounters[] {
  const [, name, counters] = /^\s*(\S+):\s*(\d[\d\s]*)$/.exec(line) ?? [];
  if (name === undefined || counters === undefined) return [];
  const [
    bytesRecv,
    packetsRecv,
    errorsIn,
    dropIn,
    ,
    ,
    ,
    ,
    bytesSent,
    packetsSent,
    errorsOut,
    dropOut,
  ] = counters.trim().split(/\s+/).map(Number);
  if (
    bytesRecv === undefined || packetsRecv === undefined || errorsIn === undefined ||
    dropIn === undefined || bytesSent === undefined || packetsSent === undefined ||
    errorsOut === undefined || dropOut === undefined
  ) return [];
  return [{
    interface: name,
    bytesSent,
    bytesRecv,
    packetsSent,
    packetsRecv,
    errorsIn,
    errorsOut,
    dropIn,
    dropOut,
  }];
}

function busiest(all: NetworkCounters[]): NetworkCounters[] {
  return all
    .toSorted((a, b) => b.bytesRecv + b.bytesSent - a.bytesRecv - a.bytesSent)
    .slice(0, MAX_INTERFACES);
}

function sum(all: NetworkCounters[], counter: Exclude<keyof NetworkCounters, "interface">): number {
  return all.reduce((total, counters) => total + counters[counter], 0);
}
