import { openReadiness, type Readiness } from "../system/readiness.ts";
import type { ServiceManager } from "../system/service_manager.ts";
import { countIn, type GroupCount, type GroupFile, GroupFiles } from "./group_files.ts";
import type { Usage } from "./host.ts";

/** Most tasks are over before anything has to be watched, in milliseconds. */
const FIRST_LOOK_MS = 250;
/** How often it is looked what a unit uses, in milliseconds. */
const LOOK_EVERY_MS = 10_000;
/** The same where the kernel counts how often a bound was met, and tells nobody, as cgroup v1 does. */
const LOOK_OFTEN_MS = 1_000;
/** Of a file of events: something has changed since it was read. */
const CHANGED = 2;

/** The hierarchies: of cgroup v2, of the same beside v1, and of v1. */
const [V2, BESIDE_V1, CPU, MEMORY, PIDS] = ["", "/unified", "/cpuacct", "/memory", "/pids"];

/** Where it is found what is used, the best first. */
const USED = [
  ["cpuMs", [
    { in: [V2, BESIDE_V1], file: "cpu.stat", read: (text) => countIn(text, "usage_usec") / 1e3 },
    { in: [CPU], file: "cpuacct.usage", read: (text) => Number(text) / 1e6 },
  ]],
  ["memoryBytes", [
    { in: [V2], file: "memory.peak", read: Number },
    { in: [MEMORY], file: "memory.max_usage_in_bytes", read: Number },
    { in: [V2], file: "memory.current", read: Number },
  ]],
  ["pids", [
    { in: [V2, PIDS], file: "pids.peak", read: Number },
    { in: [V2, PIDS], file: "pids.current", read: Number },
  ]],
] as const satisfies [keyof Usage, GroupCount[]][];

/** A bound that a unit has met. */
export interface Bound {
  /** Which it is: "the process limit of 4096". */
  text: string;
  /** Whether it wanted more processes. */
  isOfProcesses: boolean;
}

/** How often a bound was met, and what it is. */
interface Bounded {
  met: GroupCount;
  limit: GroupCount;
  isSilent?: boolean;
  bound: (limit: number) => Bound;
}

const BOUNDS: Bounded[] = [
  {
    met: { in: [V2, PIDS], file: "pids.events", read: (text) => countIn(text, "max") },
    limit: { in: [V2, PIDS], file: "pids.max", read: Number },
    bound: (limit) => ({
      text: `the process limit of ${limit} (task_pids_max)`,
      isOfProcesses: true,
    }),
  },
  {
    met: { in: [V2], file: "memory.events", read: ownKillsIn },
    limit: { in: [V2], file: "memory.max", read: Number },
    bound: memoryBound,
  },
  {
    met: { in: [MEMORY], file: "memory.oom_control", read: killsIn },
    limit: { in: [MEMORY], file: "memory.limit_in_bytes", read: Number },
    isSilent: true,
    bound: memoryBound,
  },
];

/**
 * Watches what a unit uses, and whether it has met a bound; the kernel tells of that. systemd is asked
 * where the unit is, and nothing more: it keeps fewer peaks, and beside a fork bomb it is busy.
 */
export class UnitWatch implements Disposable {
  readonly #manager: Pick<ServiceManager, "property">;
  readonly #unit: string;
  readonly #onBound: (bound: Bound) => void;
  readonly #root: string | undefined;
  readonly #readiness: Readiness = openReadiness();
  readonly #told: GroupFile[] = [];
  /** What is used of each kind. */
  readonly #counts: (readonly [kind: keyof Usage, file: GroupFile])[] = [];
  /** Each looks whether one bound was met. */
  readonly #looks: (() => boolean)[] = [];
  #files: GroupFiles | undefined;
  #opening: Promise<void> | undefined;
  #usage: Usage = {};
  #lookEveryMs = LOOK_EVERY_MS;
  #timer: ReturnType<typeof setTimeout>;
  #isOver = false;

  /** `onBound` hears of each bound that was met, once. */
  constructor(
    manager: Pick<ServiceManager, "property">,
    unit: string,
    onBound: (bound: Bound) => void,
    root?: string,
  ) {
    this.#root = root;
    this.#manager = manager;
    this.#unit = unit;
    this.#onBound = onBound;
    this.#timer = setTimeout(() => {
      this.#sample();
    }, FIRST_LOOK_MS);
  }

  /** What it has used so far; where the kernel keeps no peaks, the most that was seen. */
  async usage(): Promise<Usage> {
    await (this.#opening ??= this.#open().catch(() => {
      // systemd was out of reach: it is asked again with the next look.
      this.#opening = undefined;
    }));
    if (this.#isOver) return this.#usage;
    this.#looks.forEach((look) => look());
    for (const [kind, { read }] of this.#counts) {
      const now = read();
      if (now !== undefined) this.#usage[kind] = Math.max(now, this.#usage[kind] ?? 0);
    }
    return this.#usage;
  }

  /** Ends the watch. */
  [Symbol.dispose](): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    for (const { fd } of this.#told) this.#readiness.forget(fd);
    this.#readiness[Symbol.dispose]();
    this.#files?.[Symbol.dispose]();
  }

  #sample(): void {
    void this.usage().catch(() => {}).then(() => {
      if (this.#isOver) return;
      this.#timer = setTimeout(() => this.#sample(), this.#lookEveryMs);
    });
  }

  async #open(): Promise<void> {
    const group = await this.#manager.property(this.#unit, "Service", "ControlGroup");
    // One that has none would be taken for the whole machine.
    if (this.#isOver || typeof group !== "string" || group.length < 2) return;
    const files = this.#files = new GroupFiles(group, this.#root);
    for (const [kind, counts] of USED) {
      const file = files.open(...counts);
      if (file) this.#counts.push([kind, file]);
    }
    for (const { met, limit, isSilent = false, bound } of BOUNDS) {
      const events = files.open(met);
      const most = files.open(limit)?.read();
      // Without one of its own it can meet another's alone.
      if (events && most !== undefined) this.#watchBound(events, bound(most), isSilent);
    }
  }

  #watchBound(events: GroupFile, bound: Bound, isSilent: boolean): void {
    let isMet = false;
    /** Whether there is more to hear: the file of a group that is gone always has news. */
    const look = () => {
      const times = this.#isOver || isMet ? undefined : events.read();
      if (!times) return times === 0;
      isMet = true;
      this.#onBound(bound);
      return false;
    };
    this.#looks.push(look);
    if (isSilent) this.#lookEveryMs = LOOK_OFTEN_MS;
    else {
      this.#told.push(events);
      void this.#eachChange(events, look).catch(() => {});
    }
  }

  /** Looks now, and whenever the kernel says that there is something new. */
  async #eachChange({ fd }: GroupFile, look: () => boolean): Promise<void> {
    while (look()) await this.#readiness.wait(fd, CHANGED);
  }
}

function killsIn(text: string): number {
  return countIn(text, "oom_kill");
}

/** Those at its own bound: without that it was the machine that had too little memory. */
function ownKillsIn(text: string): number {
  return countIn(text, "oom") > 0 ? killsIn(text) : 0;
}

function memoryBound(limit: number): Bound {
  const size = `${Math.round(limit / 2 ** 20)} MiB`;
  return { text: `the memory limit of ${size} (task_memory_max)`, isOfProcesses: false };
}
