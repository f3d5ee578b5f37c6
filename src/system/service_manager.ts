import { delay } from "@std/async";
import * as z from "@zod/zod";
import { BusClosedError, type BusValue, Variant } from "./bus_message.ts";
import { LastingBus } from "./lasting_bus.ts";
import { BusError, type BusSignal } from "./sd_bus.ts";
import { messageOf } from "./user_error.ts";

const SYSTEMD = "org.freedesktop.systemd1";
const MANAGER_PATH = "/org/freedesktop/systemd1";
/** PID 1's own socket: root needs no bus daemon to reach it. It is there since long before 247. */
const ADDRESS = "unix:path=/run/systemd/private";
const PROPERTIES = "org.freedesktop.DBus.Properties";
/** How long a start waits for it, in milliseconds. */
const REACH_MS = 5_000;
const TRY_MS = 50;

/** What of a unit is watched. */
const WATCHED: ReadonlyMap<string, readonly string[]> = new Map([
  [`${SYSTEMD}.Unit`, ["ActiveState"]],
  [`${SYSTEMD}.Service`, ["ExecMainCode", "ExecMainStatus"]],
]);

/** The properties of a unit that have changed, by their names: of those that say how it is. */
export type ChangedProperties = ReadonlyMap<string, BusValue>;

/** Hears that something about a unit has changed, and may read what; not where that is unknown. */
type ChangeListener = (read?: () => ChangedProperties) => void;

/** A property of a unit that is to be started. */
export type UnitProperty = readonly [name: string, value: Variant];

/** A unit as the service manager lists it. */
export interface UnitState {
  /** Its name. */
  name: string;
  /** Whether it is loaded, or why not. */
  load: string;
  /** `active`, `inactive`, `failed`, … */
  active: string;
  /** The same more closely: `running`, `exited`, … */
  sub: string;
}

/** The interfaces that have properties of units. */
export type UnitFace = "Unit" | "Service";

const Listed = z.array(
  z.tuple([z.string(), z.string(), z.string(), z.string(), z.string()]).rest(z.unknown()),
);
const Processes = z.array(z.tuple([z.string(), z.number(), z.string()]));
const JobOfUnit = z.tuple([z.number(), z.string()]);

/** Whether a call was refused because there is no such unit (any more). */
export function isNoSuchUnit(error: unknown): error is BusError {
  return error instanceof BusError &&
    (error.code === `${SYSTEMD}.NoSuchUnit` || error.code.endsWith(".UnknownObject"));
}

/**
 * systemd, as root reaches it: starts units, tells of them, and of their changes, also when PID 1
 * executes itself anew meanwhile. No connection is held at rest.
 */
export class ServiceManager implements Disposable {
  readonly #bus: LastingBus;
  readonly #watches = new Map<string, Set<ChangeListener>>();
  readonly #jobs = new Map<string, Set<(path: string, result: string) => void>>();

  private constructor(address: string) {
    this.#bus = new LastingBus(address, {
      hear: (signal) => this.#hear(signal),
      listens: () => this.#watches.size > 0,
      onBack: () => {
        for (const watchers of [...this.#watches.values()]) watchers.forEach((tell) => tell());
      },
    });
  }

  /** The service manager of this machine; a sentence that says why not where it is out of reach. */
  static open(address = ADDRESS): ServiceManager | string {
    if (Deno.uid() !== 0) return "only root may start units";
    const manager = new ServiceManager(address);
    try {
      manager.#bus.probe();
      return manager;
    } catch (error) {
      manager[Symbol.dispose]();
      return `systemd cannot be reached: ${messageOf(error)}`;
    }
  }

  /**
   * {@linkcode ServiceManager.open} for one who needs it, and comes while PID 1 executes itself anew;
   * so long at most, in milliseconds.
   */
  static async reach(address = ADDRESS, limitMs = REACH_MS): Promise<ServiceManager | string> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      const manager = ServiceManager.open(address);
      const isFinal = typeof manager !== "string" || Deno.uid() !== 0;
      if (isFinal || performance.now() >= endMs) return manager;
      await delay(TRY_MS);
    }
  }

  /**
   * Starts a unit that exists as long as it runs; resolves when its job is done, with the job's
   * result: `done`, `failed`, … One that exists already is left as it is.
   *
   * @throws {BusError} when systemd refuses.
   */
  async startTransient(unit: string, properties: readonly UnitProperty[]): Promise<string> {
    return await this.#job(
      unit,
      (again) =>
        this.#manager("StartTransientUnit", "ssa(sv)a(sa(sv))", [unit, "fail", properties, []])
          .catch((error) => {
            // The answer to the first call was lost with the connection.
            if (again && error instanceof BusError && error.code.endsWith(".UnitExists")) return [];
            // It looks for what it has written, in vain.
            if (!isNoSuchUnit(error)) throw error;
            throw new BusError(error.code, "it cannot be written: see whether /run is full");
          }),
    );
  }

  /**
   * Stops a unit; resolves when it has stopped, with the job's result. One that is not there has.
   *
   * @throws {BusError} when systemd refuses.
   */
  async stop(unit: string): Promise<string> {
    return await this.#job(unit, () => this.#stop(unit));
  }

  /**
   * Has a unit stopped when it is its turn: behind whatever is stopped before it. A start that waits
   * is taken back.
   *
   * @throws {BusError} when systemd refuses.
   */
  async queueStop(unit: string): Promise<void> {
    await this.#bus.again(() => this.#stop(unit));
  }

  /** Sends a signal to the processes of a unit, to all or to the main one; none is fine. */
  async kill(unit: string, who: "all" | "main", signal: number): Promise<void> {
    await this.#bus.again(() =>
      this.#manager("KillUnit", "ssi", [unit, who, signal]).catch((error) => {
        if (!(error instanceof BusError)) throw error;
      })
    );
  }

  /** Changes properties of a unit until it goes; one that is not there any more needs none. */
  async setProperties(unit: string, properties: readonly UnitProperty[]): Promise<void> {
    const set = () => this.#manager("SetUnitProperties", "sba(sv)", [unit, true, properties]);
    await this.#bus.again(set).catch((error) => {
      if (!(error instanceof BusError)) throw error;
    });
  }

  /** A property of a unit. @throws {BusError} where there is no such unit, or property. */
  property(unit: string, face: UnitFace, name: string): Promise<BusValue> {
    return this.#property(unitPath(unit), face, name);
  }

  /** A property of systemd itself, such as `SystemState`. */
  managerProperty(name: string): Promise<BusValue> {
    return this.#property(MANAGER_PATH, "Manager", name);
  }

  /** The type of the job that systemd runs for a unit now: `stop`, `restart`, …; undefined for none. */
  async jobType(unit: string): Promise<string | undefined> {
    const [id, path] = JobOfUnit.parse(await this.property(unit, "Unit", "Job"));
    if (id === 0) return undefined;
    return z.string().parse(await this.#property(path, "Job", "JobType"));
  }

  /** The units whose names fit a pattern, such as `noderax-task-*.service`. */
  async units(pattern: string): Promise<UnitState[]> {
    const [listed] = await this.#bus.again(() =>
      this.#manager("ListUnitsByPatterns", "asas", [[], [pattern]])
    );
    return Listed.parse(listed).map(([name, , load, active, sub]) => ({ name, load, active, sub }));
  }

  /** The ids of a unit's processes, however far they have detached themselves; none without it. */
  async processes(unit: string): Promise<number[]> {
    try {
      const [listed] = await this.#bus.again(() => this.#manager("GetUnitProcesses", "s", [unit]));
      return Processes.parse(listed).map(([, pid]) => pid);
    } catch (error) {
      if (error instanceof BusError) return [];
      throw error;
    }
  }

  /**
   * Calls back when something about a unit has changed, until it is disposed of: with what reads it
   * there and then, or with nothing where changes may have been missed.
   */
  watch(unit: string, onChange: ChangeListener): Disposable {
    const path = unitPath(unit);
    const watchers = this.#watches.get(path) ?? new Set();
    this.#watches.set(path, watchers.add(onChange));
    const use = this.#bus.listen();
    return {
      [Symbol.dispose]: () => {
        if (!watchers.delete(onChange)) return;
        if (watchers.size === 0 && this.#watches.get(path) === watchers) this.#watches.delete(path);
        use[Symbol.dispose]();
      },
    };
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    this.#bus[Symbol.dispose]();
  }

  async #property(path: string, face: UnitFace | "Manager" | "Job", name: string) {
    const args = [`${SYSTEMD}.${face}`, name];
    const [value] = await this.#bus.again(() =>
      this.#bus.call({
        destination: SYSTEMD,
        path,
        face: PROPERTIES,
        member: "Get",
        signature: "ss",
        args,
      })
    );
    if (value === undefined) throw new BusError("", `${name} has no value`);
    return value;
  }

  #manager(member: string, signature: string, args: readonly BusValue[]): Promise<BusValue[]> {
    const face = `${SYSTEMD}.Manager`;
    const to = { destination: SYSTEMD, path: MANAGER_PATH, face, member };
    return this.#bus.call({ ...to, signature, args });
  }

  /** Queues the job that stops a unit; there is none for one that is not there. */
  #stop(unit: string): Promise<BusValue[]> {
    return this.#manager("StopUnit", "ss", [unit, "replace"]).catch((error) => {
      if (isNoSuchUnit(error)) return [];
      throw error;
    });
  }

  /** Calls that queue a job answer with its path; its end comes as a signal, maybe before that. */
  async #job(unit: string, call: (again: boolean) => Promise<BusValue[]>): Promise<string> {
    const results = new Map<string, string>();
    const ended = Promise.withResolvers<void>();
    let path: BusValue | undefined;
    const listener = (ofJob: string, result: string) => {
      results.set(ofJob, result);
      if (ofJob === path) ended.resolve();
    };
    const listeners = this.#jobs.get(unit) ?? new Set();
    this.#jobs.set(unit, listeners.add(listener));
    // A lost connection takes the signal along: then the unit itself is asked.
    using _watch = this.watch(unit, (read) => {
      if (!read && path !== undefined) {
        void this.#hasJob(unit).then((has) => has || ended.resolve());
      }
    });
    try {
      [path] = await this.#bus.again(call);
      if (path === undefined) {
        // A job whose path is lost is known by its unit alone.
        while (await this.#hasJob(unit)) await delay(TRY_MS);
        return "done";
      }
      if (typeof path === "string" && results.has(path)) ended.resolve();
      await ended.promise;
      return results.get(String(path)) ?? "done";
    } finally {
      listeners.delete(listener);
      if (listeners.size === 0) this.#jobs.delete(unit);
    }
  }

  /** Whether a unit has a job, or may have: who is away is asked again when that is back. */
  async #hasJob(unit: string): Promise<boolean> {
    try {
      const [id] = JobOfUnit.parse(await this.property(unit, "Unit", "Job"));
      return id !== 0;
    } catch (error) {
      return error instanceof BusClosedError;
    }
  }

  #hear({ path, member, read, readChanged }: BusSignal): void {
    if (member === "JobRemoved") {
      const [, job, unit, result] = read();
      const listeners = this.#jobs.get(String(unit));
      listeners?.forEach((listener) => listener(String(job), String(result)));
    } else if (member === "PropertiesChanged") {
      let properties: ChangedProperties | undefined;
      const changed = () => properties ??= readChanged(WATCHED);
      for (const tell of [...this.#watches.get(path) ?? []]) tell(changed);
    }
  }
}

/** The path of a unit's object: what is neither letter nor digit is written as its number. */
function unitPath(unit: string): string {
  const escaped = [...new TextEncoder().encode(unit)].map((byte, at) => {
    const char = String.fromCharCode(byte);
    const isPlain = /[A-Za-z]/.test(char) || (at > 0 && /[0-9]/.test(char));
    return isPlain ? char : `_${byte.toString(16).padStart(2, "0")}`;
  });
  return `${MANAGER_PATH}/unit/${escaped.join("")}`;
}

/** A property of a unit to be started: its name, its type on the bus, and its value. */
export function unitProperty(name: string, type: string, value: BusValue): UnitProperty {
  return [name, new Variant(type, value)];
}
