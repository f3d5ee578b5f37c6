/** What no agent can do without, measured in the same run: figures of two machines are compared by it. */
export const FLOORS = {
  call: { what: "a bare Deno, from its start to its first call", unit: "ms" },
  shell: { what: "`sh -lc true`", unit: "ms" },
  loopback: { what: "a call on loopback", unit: "ms" },
  echo: { what: "the echo of bash on a bare PTY", unit: "ms" },
  task: { what: "`true` by a bare Deno: calls, syncs and a shell", unit: "ms" },
  hundred: { what: "100 queued tasks by a bare Deno", unit: "ms" },
  logs: { what: "log lines a second by a bare Deno", unit: "lines/s" },
  cpu: { what: "an idle Deno: CPU of one core", unit: "%" },
  memory: { what: "an idle Deno: memory (RSS)", unit: "MB" },
  private: { what: "an idle Deno: private memory", unit: "MB" },
} as const satisfies Record<string, { what: string; unit: Unit }>;

/** The name of a floor. */
export type FloorName = keyof typeof FLOORS;

/** What a figure is counted in. */
export type Unit = "ms" | "%" | "MB" | "MB/s" | "lines/s" | "lines";

/** What is measured; smaller is better unless `more` is. */
export interface Line {
  what: string;
  unit: Unit;
  /** What is to be reached. */
  aim: number;
  /** The agent in Go, measured beside this one on the machine that the aims come from. */
  go?: number;
  /** Whether more is better. */
  more?: boolean;
  /** What it stands on. */
  floor?: FloorName;
}

/** The lines of the table, in its order. */
export const LINES = {
  authenticated: { what: "start to authenticated", unit: "ms", aim: 80, go: 47, floor: "call" },
  claim: { what: "start to the first claim", unit: "ms", aim: 65, go: 41, floor: "call" },
  task: { what: "claim to completion of `true`", unit: "ms", aim: 9, go: 7, floor: "task" },
  hundred: {
    what: "100 queued tasks, all completed",
    unit: "ms",
    aim: 400,
    go: 377,
    floor: "hundred",
  },
  idleCpu: { what: "idle: CPU of one core, with children", unit: "%", aim: 0.1, go: 0.1 },
  idleMemory: { what: "idle: memory (RSS)", unit: "MB", aim: 48, go: 17, floor: "memory" },
  idlePrivate: { what: "idle: private memory", unit: "MB", aim: 16, go: 6, floor: "private" },
  flood: {
    what: "terminal flood, handlers of 0 to 3 ms",
    unit: "MB/s",
    aim: 15,
    go: 11,
    more: true,
  },
  floodPeak: { what: "peak in a terminal flood", unit: "MB", aim: 60, go: 18, floor: "memory" },
  logPeak: { what: "peak in a log flood", unit: "MB", aim: 60, go: 18, floor: "memory" },
  echo: { what: "key echo, median of 200", unit: "ms", aim: 1.5, go: 24.7, floor: "echo" },
  echoWorst: { what: "key echo, worst of 200", unit: "ms", aim: 10 },
  logLines: {
    what: "log lines a second at 5 ms a call",
    unit: "lines/s",
    aim: 150_000,
    go: 175,
    more: true,
    floor: "logs",
  },
  logLost: { what: "log lines lost, of 300 000", unit: "lines", aim: 0, go: 291_000 },
  packages: { what: "package list", unit: "ms", aim: 23, go: 119, floor: "shell" },
} as const satisfies Record<string, Line>;

/** The name of a line. */
export type LineName = keyof typeof LINES;
