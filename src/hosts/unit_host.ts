import { bootTime } from "../system/boot_time.ts";
import { settlesWithin } from "../system/deadline.ts";
import { SERVICE, SLICE } from "../system/paths.ts";
import type { ServiceManager } from "../system/service_manager.ts";
import { areGone, endUnit } from "./end_unit.ts";
import type { Found, Host, HostCommand, InUnit, Program } from "./host.ts";
import { mainEndOf } from "./main_end.ts";
import { type ProcessGroup, TASK_ID_VARIABLE } from "./process_table.ts";
import { gatePath, type UnitGate } from "./unit_gate.ts";
import { launchText, SLICE_PROPERTIES, type UnitLimits, unitProperties } from "./unit_launch.ts";
import { UnitLeftovers } from "./unit_leftovers.ts";
import { UnitProgram } from "./unit_program.ts";
import { hasNotBegun, prepareUnit, startUnit } from "./unit_start.ts";

/** Each unit of a task begins with it; `noderax-task-<id>:2.service` is a task's second program. */
const PREFIX = "noderax-task-";
const SUFFIX = ".service";
/** Begins what names a unit that only looks. */
const LOOK = "look-";
const SIGKILL = 9;
/** How long a machine may take to start one unit, however much else it does, in milliseconds. */
const PROBE_MS = 25_000;
/**
 * How long a program that nobody knows any more may go on, in milliseconds: it may be a change of
 * packages, which must not be cut short.
 */
const UNKNOWN_MS = 600_000;

/** What is asked of systemd. */
type Manager = Pick<
  ServiceManager,
  | "startTransient"
  | "stop"
  | "queueStop"
  | "kill"
  | "property"
  | "setProperties"
  | "jobType"
  | "units"
  | "processes"
  | "watch"
>;

/** What a host that starts units needs. */
export interface UnitHostOptions {
  /** The service manager. */
  manager: Manager;
  /** A folder that a restart of the agent leaves as it is, and a boot does not. */
  folder: string;
  /** Runs what does not run in a unit. */
  children: Host;
  /** Whether commands get units; else those that are there are taken up. */
  startsUnits: boolean;
  /** What of the machine a task may take. */
  limits: () => UnitLimits;
  /** What root's commands get of the agent's own environment. */
  environment: Record<string, string>;
  /** How often it is looked whether what tasks have left has gone, in milliseconds. */
  lookEveryMs?: number;
  /** How long a program that nobody knows any more may go on, in milliseconds. */
  unknownMs?: number;
}

/** The work of a task. */
interface Work {
  /** How many units it has had. */
  count: number;
  /** Those that are not removed yet. */
  units: Set<string>;
}

/** All units of tasks. */
export const TASK_UNITS = `${PREFIX}*${SUFFIX}`;

/** The folder of a unit's pipes, in the one of all units. */
export function pipesOf(unit: string, folder: string): string {
  return `${folder}/${unit.slice(PREFIX.length, -SUFFIX.length)}`;
}

/** The task of a unit, by the unit's name; undefined for another unit. */
export function taskOfUnit(unit: string): string | undefined {
  if (!unit.startsWith(PREFIX) || !unit.endsWith(SUFFIX)) return undefined;
  return unit.slice(PREFIX.length, -SUFFIX.length).split(":")[0];
}

/** Runs the programs of tasks in transient units of systemd's, which outlive the agent. */
export class UnitHost implements Host {
  readonly #options: UnitHostOptions;
  /** The units that only look, and whose programs have not ended. */
  readonly #looks = new Set<string>();
  readonly #works = new Map<string, Work>();
  readonly #leftovers: UnitLeftovers;
  /** The look at the service's job that is on its way, for all that start meanwhile. */
  #serviceJob: Promise<string | undefined> | undefined;

  /** Nothing is started before a command comes. */
  constructor(options: UnitHostOptions) {
    this.#options = options;
    const { manager, lookEveryMs } = options;
    const folderOf = (unit: string) => this.#folderOf(unit);
    this.#leftovers = new UnitLeftovers({ manager, folderOf, lookEveryMs });
  }

  /** Whether commands get units here: a sentence says why not. It starts one to find out. */
  async probe(): Promise<string | undefined> {
    // One that is there is kept; that none can be had the unit in it says as well.
    await this.#options.manager.startTransient(SLICE, SLICE_PROPERTIES).catch(() => {});
    const user = { name: "root", uid: 0 };
    const command: HostCommand = {
      taskId: `probe-${crypto.randomUUID()}`,
      argv: [],
      signal: new AbortController().signal,
      inUnit: { user, argv: ["true"] },
    };
    let program: UnitProgram | undefined;
    try {
      const { output, ended } = program = this.#program(command, { user, argv: ["true"] });
      const work = program.open().then(async () => {
        for await (const _ of output);
        return await ended;
      });
      if (!await settlesWithin(work, PROBE_MS)) return "systemd does not start one with its pipes";
      const { exitCode } = await work;
      return exitCode === 0 ? undefined : `the first one ended with exit code ${exitCode}`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      if (program) void this.release(command.taskId, program.group).catch(() => {});
    }
  }

  async start(command: HostCommand): Promise<Program> {
    const { startsUnits, children } = this.#options;
    if (!startsUnits || !command.inUnit) return await children.start(command);
    const program = this.#program(command, command.inUnit);
    if (command.isLook) {
      const { group: { unit } } = program;
      this.#looks.add(unit);
      void program.ended.catch(() => {}).then(() => {
        this.#looks.delete(unit);
        this.#leftovers.removeSoon(unit);
      });
    }
    return program;
  }

  #program(command: HostCommand, inUnit: InUnit): UnitProgram {
    const { taskId, isLook = false } = command;
    const work = this.#works.get(taskId) ?? { count: 0, units: new Set() };
    if (!isLook) this.#works.set(taskId, work);
    // An earlier agent may have left a look of its own.
    const nth = isLook ? `${LOOK}${crypto.randomUUID().slice(0, 8)}` : ++work.count;
    const unit = unitName(taskId, nth);
    const group = { pid: 1, startTicks: "", bootId: bootTime().bootId, unit };
    const { manager } = this.#options;
    const folder = this.#folderOf(unit);
    const gate = this.#prepare(folder, taskId, inUnit);
    const start = () => this.#start(unit, folder, gate, command, inUnit);
    const { signal, askFirst, store } = command;
    const onGone = () => this.#leftovers.areGone(unit);
    const onBegun = () => this.#removeBefore(unit, work);
    if (!isLook) work.units.add(unit);
    const held = { gate, start, ...isLook ? {} : { onBegun } };
    return new UnitProgram({ manager, group, folder, signal, askFirst, store, held, onGone });
  }

  /**
   * What a task has run before the program in a unit is over. Until that is let run, the record may
   * still name the one before: for the next agent its end must be there.
   */
  #removeBefore(unit: string, { units }: Work): void {
    for (const before of units) {
      if (before === unit) continue;
      units.delete(before);
      this.#leftovers.removeSoon(before);
    }
  }

  async takeUp(
    command: Pick<HostCommand, "taskId" | "signal" | "store" | "askFirst">,
    group: ProcessGroup,
  ): Promise<Found> {
    const { unit } = group;
    if (unit === undefined) return "gone";
    // No unit outlives a boot. Its id says less: in a container a service that is locked down sees the
    // one of the machine around it, and the same service before that did not.
    const { manager } = this.#options;
    const folder = this.#folderOf(unit);
    const { taskId } = command;
    const count = Number(unit.slice(PREFIX.length, -SUFFIX.length).split(":")[1] ?? 1);
    // The earlier agent may have died before it removed the one before.
    const units = new Set([unit, ...count > 1 ? [unitName(taskId, count - 1)] : []]);
    // What has not begun is begun anew in a unit of the same name.
    const work = { count: count - 1, units };
    this.#works.set(taskId, work);
    const active = await manager.property(unit, "Unit", "ActiveState");
    const isHeld = await isThere(gatePath(folder));
    if (active === "inactive" || active === "failed") return isHeld ? "not begun" : "gone";
    if (isHeld && await hasNotBegun(manager, unit)) {
      await manager.stop(unit);
      return "not begun";
    }
    // The earlier agent has died while it let it run.
    if (isHeld) await Deno.remove(gatePath(folder)).catch(() => {});
    const program = new UnitProgram({
      manager,
      group: { ...group, unit },
      folder,
      signal: command.signal,
      askFirst: command.askFirst,
      store: command.store,
      hadEnded: await mainEndOf(manager, unit) !== undefined,
      onGone: () => this.#leftovers.areGone(unit),
    });
    await program.open();
    work.count = count;
    this.#removeBefore(unit, work);
    return program;
  }

  async release(taskId: string, group: ProcessGroup | undefined): Promise<void> {
    const units = new Set(this.#works.get(taskId)?.units);
    this.#works.delete(taskId);
    if (group?.unit !== undefined) units.add(group.unit);
    const release = (unit: string) => this.#release(unit, unit !== group?.unit);
    await Promise.all(Array.from(units, release));
    if (!group) await Promise.all((await this.#unitsOf(taskId)).map(release));
  }

  async #release(unit: string, mayBeHeld: boolean): Promise<void> {
    // Who waits at a gate is never let run.
    const isHeld = mayBeHeld && await isThere(gatePath(this.#folderOf(unit)));
    if (isHeld) this.#leftovers.areGone(unit);
    try {
      await this.#leftovers.remove(unit);
    } catch (error) {
      this.#leftovers.removeSoon(unit);
      throw error;
    }
  }

  /** Removes the units, and the folders of units, that nobody needs any more. */
  async sweep(isAtWork: (taskId: string) => boolean): Promise<void> {
    // What an earlier agent has looked for is not taken up.
    const isFree = (unit: string) =>
      unit.includes(`:${LOOK}`) ? !this.#looks.has(unit) : !isAtWork(taskOfUnit(unit) ?? "");
    for (const unit of await this.#units()) if (isFree(unit)) await this.#leftovers.remove(unit);
  }

  async waitFor(
    taskId: string,
    group: ProcessGroup | undefined,
    limitMs: number,
  ): Promise<void> {
    if (group?.unit === undefined) {
      return await this.#options.children.waitFor(taskId, group, limitMs);
    }
    await this.#waitFor(group.unit, limitMs);
  }

  async end(taskId: string, group: ProcessGroup | undefined): Promise<number> {
    const { manager, children, unknownMs = UNKNOWN_MS } = this.#options;
    if (group?.unit !== undefined) return await endUnit(manager, group.unit);
    const units = group ? [] : await this.#unitsOf(taskId);
    await Promise.all(units.map((unit) => this.#waitFor(unit, unknownMs)));
    const ends = units.map((unit) => endUnit(manager, unit));
    const left = await Promise.all([children.end(taskId, group), ...ends]);
    return left.reduce((sum, count) => sum + count);
  }

  killNow(taskId: string, group: ProcessGroup): void {
    if (group.unit === undefined) return this.#options.children.killNow(taskId, group);
    void this.#options.manager.kill(group.unit, "all", SIGKILL).catch(() => {});
  }

  /** Waits until nobody lives on in a unit, for so many milliseconds at most. */
  async #waitFor(unit: string, limitMs: number): Promise<void> {
    this.#leftovers.drain(unit);
    await areGone(this.#options.manager, unit, limitMs);
  }

  /** All units of tasks, also those of which nothing but the folder is there. */
  async #units(): Promise<string[]> {
    const { manager, folder } = this.#options;
    const units = (await manager.units(TASK_UNITS)).map(({ name }) => name);
    const folders = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
    return [...new Set([...units, ...folders.map(({ name }) => `${PREFIX}${name}${SUFFIX}`)])];
  }

  async #unitsOf(taskId: string): Promise<string[]> {
    return (await this.#units()).filter((unit) => taskOfUnit(unit) === taskId);
  }

  #folderOf(unit: string): string {
    return pipesOf(unit, this.#options.folder);
  }

  /** Makes the FIFOs, and the gate behind which it is told what to run. */
  #prepare(folder: string, taskId: string, { user, argv, env }: InUnit): UnitGate {
    const own = user.uid === 0 ? this.#options.environment : {};
    const text = launchText(argv, { ...own, ...env, [TASK_ID_VARIABLE]: taskId });
    return prepareUnit(folder, user.uid, text);
  }

  /** The job of the agent's own unit. */
  #jobOfService(): Promise<string | undefined> {
    return this.#serviceJob ??= this.#options.manager.jobType(SERVICE)
      .catch(() => undefined)
      .finally(() => this.#serviceJob = undefined);
  }

  async #start(
    unit: string,
    folder: string,
    gate: UnitGate,
    { taskId, description = `Noderax task ${taskId}` }: HostCommand,
    { user }: InUnit,
  ): Promise<void> {
    const { manager, limits } = this.#options;
    await startUnit(manager, {
      ...{ unit, folder, gate },
      properties: (isLate) =>
        unitProperties({ description, user: user.name, limits: limits(), isLate }),
      isLate: async () => await this.#jobOfService() === "stop",
    });
  }
}

function unitName(taskId: string, nth: number | string): string {
  return `${PREFIX}${taskId}${nth === 1 ? "" : `:${nth}`}${SUFFIX}`;
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
