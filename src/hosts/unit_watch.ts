import { cString, type Libc, O_CLOEXEC, openLibc } from "../system/libc.ts";
import { openReadiness, type Readiness } from "../system/readiness.ts";
import type { ServiceManager, UnitFace } from "../system/service_manager.ts";
import type { Usage } from "./host.ts";

/** Most tasks are over before anything has to be watched, in milliseconds. */
const FIRST_LOOK_MS = 1_000;
/** How often it is looked what a unit uses, in milliseconds. */
const LOOK_EVERY_MS = 10_000;
/** What systemd says where something is not counted, or not bounded. */
const UNKNOWN = 2n ** 64n - 1n;
/** Of a file of events: something has changed since it was read. */
const CHANGED = 2;
const EVENTS_BYTES = 4096;
const ROOT = "/sys/fs/cgroup";

/** The files that count how often a bound was met, in what they count, and the bound's property. */
const BOUNDS = [
  { file: "pids.events", counter: "max", property: "TasksMax", name: pidsLimit },
  { file: "memory.events", counter: "oom_kill", property: "MemoryMax", name: memoryLimit },
] as const;

/** How often something has happened, by a file of events: a name and a number in each line. */
export function countIn(events: string, counter: string): number {
  const line = events.split("\n").find((line) => line.startsWith(`${counter} `));
  return Number(line?.slice(counter.length + 1) ?? 0);
}

/** Watches what a unit uses, and whether it has met a bound; the kernel tells of that. */
export class UnitWatch implements Disposable {
  readonly #manager: Pick<ServiceManager, "property">;
  readonly #unit: string;
  readonly #onBound: (which: string) => void;
  readonly #libc: Libc = openLibc();
  readonly #readiness: Readiness = openReadiness();
  readonly #files: number[] = [];
  readonly #looks: (() => boolean)[] = [];
  #opening: Promise<void> | undefined;
  #usage: Usage = {};
  #timer: ReturnType<typeof setTimeout>;
  #isOver = false;

  readonly #root: string;

  /** `onBound` hears which bound it is, once one was met: "the process limit of 4096". */
  constructor(
    manager: Pick<ServiceManager, "property">,
    unit: string,
    onBound: (which: string) => void,
    root: string = ROOT,
  ) {
    this.#root = root;
    this.#manager = manager;
    this.#unit = unit;
    this.#onBound = onBound;
    this.#timer = setTimeout(() => {
      this.#sample();
    }, FIRST_LOOK_MS);
  }

  /** What it has used so far; peaks are of the looks that were taken. */
  async usage(): Promise<Usage> {
    await (this.#opening ??= this.#watchBounds().catch(() => {}));
    // cgroup v1 counts, but does not tell.
    this.#looks.forEach((look) => look());
    const [cpu, peak, memory, pids] = await Promise.all([
      this.#number("CPUUsageNSec"),
      this.#number("MemoryPeak"),
      this.#number("MemoryCurrent"),
      this.#number("TasksCurrent"),
    ]);
    const memoryBytes = most(peak, memory, this.#usage.memoryBytes);
    const peakPids = most(pids, this.#usage.pids);
    this.#usage = {
      ...this.#usage,
      ...cpu === undefined ? {} : { cpuMs: cpu / 1e6 },
      ...memoryBytes === undefined ? {} : { memoryBytes },
      ...peakPids === undefined ? {} : { pids: peakPids },
    };
    return this.#usage;
  }

  /** Ends the watch. */
  [Symbol.dispose](): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    for (const fd of this.#files) {
      this.#readiness.forget(fd);
      this.#libc.symbols.close(fd);
    }
    this.#readiness[Symbol.dispose]();
    this.#libc[Symbol.dispose]();
  }

  #sample(): void {
    void this.usage().catch(() => {}).then(() => {
      if (this.#isOver) return;
      this.#timer = setTimeout(() => this.#sample(), LOOK_EVERY_MS);
    });
  }

  async #watchBounds(): Promise<void> {
    const group = await this.#manager.property(this.#unit, "Service", "ControlGroup");
    for (const { file, counter, property, name } of BOUNDS) {
      const controller = file.slice(0, file.indexOf("."));
      const paths = [
        `${this.#root}${group}/${file}`,
        `${this.#root}/${controller}${group}/${file}`,
      ];
      if (this.#isOver) return;
      const fd = paths.map((path) => this.#libc.symbols.open(cString(path), O_CLOEXEC, 0))
        .find((fd) => fd >= 0);
      if (fd === undefined) continue;
      this.#files.push(fd);
      const bound = name(await this.#number(property));
      const look = () => this.#look(fd, counter, bound);
      this.#looks.push(look);
      void this.#eachChange(fd, look).catch(() => {});
    }
  }

  /** Looks now, and whenever the kernel says that there is something new. */
  async #eachChange(fd: number, look: () => boolean): Promise<void> {
    while (look()) await this.#readiness.wait(fd, CHANGED);
  }

  /** Whether there is more to come: the file of a group that is gone always has news, and no content. */
  #look(fd: number, counter: string, bound: string): boolean {
    if (this.#isOver) return false;
    const bytes = new Uint8Array(EVENTS_BYTES);
    const length = Number(this.#libc.symbols.pread(fd, bytes, BigInt(EVENTS_BYTES), 0n));
    if (length < 0) return false;
    const events = new TextDecoder().decode(bytes.subarray(0, length));
    if (countIn(events, counter) > 0) this.#onBound(bound);
    return true;
  }

  /** A number that systemd knows; older ones know fewer. */
  async #number(name: string, face: UnitFace = "Service"): Promise<number | undefined> {
    const value = await this.#manager.property(this.#unit, face, name).catch(() => UNKNOWN);
    return typeof value === "bigint" && value !== UNKNOWN ? Number(value) : undefined;
  }
}

function most(...numbers: (number | undefined)[]): number | undefined {
  const known = numbers.filter((number) => number !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

function pidsLimit(limit: number | undefined): string {
  return `the process limit of ${limit ?? "its unit"} (task_pids_max)`;
}

function memoryLimit(limit: number | undefined): string {
  const size = limit === undefined ? "its unit" : `${Math.round(limit / 2 ** 20)} MiB`;
  return `the memory limit of ${size} (task_memory_max)`;
}
