import { delay } from "@std/async";
import { BusClosedError } from "../system/bus_message.ts";
import { settlesWithin } from "../system/deadline.ts";
import { type ServiceManager, unitProperty } from "../system/service_manager.ts";
import { areGone, endUnit } from "./end_unit.ts";
import type { HostCommand, OutputChunk, Program, ProgramEnd, Usage } from "./host.ts";
import { type MainEnd, MainEndWatch } from "./main_end.ts";
import { type ProcessGroup, processGroupOf } from "./process_table.ts";
import type { UnitGate } from "./unit_gate.ts";
import { NOT_LAUNCHED } from "./unit_launch.ts";
import { UnitOutput } from "./unit_output.ts";
import { type Bound, UnitWatch } from "./unit_watch.ts";

/** How long a background process may delay the end, in milliseconds. */
const LINGER_MS = 2_000;

/** Of so short a program nobody wants to know what it has used, in milliseconds. */
const QUICK_MS = 1_000;

/** The pause between two tries to end one while systemd is away, in milliseconds. */
const END_AGAIN_MS = 250;

/** The exit code of a program that was not let run. */
const REFUSED = 125;

/** A unit with these starts no process more, and has the processors when nobody else wants them. */
const GIVE_WAY = [unitProperty("TasksMax", "t", 1), unitProperty("CPUWeight", "t", 1)];

/** How a program ended. */
type Exit = Pick<ProgramEnd, "exitCode" | "signal">;

/** What a program in a unit needs to know. */
export interface UnitProgramOptions extends Pick<HostCommand, "signal" | "askFirst" | "store"> {
  /** The service manager. */
  manager: Pick<
    ServiceManager,
    "property" | "setProperties" | "processes" | "kill" | "queueStop" | "watch"
  >;
  /** Where it is. */
  group: ProcessGroup & { unit: string };
  /** Where its FIFOs are. */
  folder: string;
  /** Starts it behind its gate, and hears that it was let run; undefined for one that runs already. */
  held?: {
    gate: Pick<UnitGate, "open" | typeof Symbol.dispose>;
    start: () => Promise<void>;
    onBegun?: () => void;
  };
  /** Whether it had ended before it was found. */
  hadEnded?: boolean;
  /** Hears that it has ended, and that nobody lives on in its unit. */
  onGone?: () => void;
}

/** A program in a unit of systemd's, which holds its pipes and its end while there is no agent. */
export class UnitProgram implements Program {
  readonly group: ProcessGroup & { unit: string };
  readonly exited: Promise<Exit>;
  readonly ended: Promise<ProgramEnd>;
  readonly bounded: Promise<string>;
  readonly hadEnded: boolean;
  readonly #options: UnitProgramOptions;
  readonly #exited = Promise.withResolvers<Exit>();
  readonly #bounded = Promise.withResolvers<string>();
  /** Undefined of one that was never let run. */
  readonly #output = Promise.withResolvers<UnitOutput | undefined>();
  readonly #watches = new DisposableStack();
  /** Resolves when systemd has started it; it begins before the program is let run. */
  readonly #started: Promise<void>;
  #watch: UnitWatch | undefined;
  #ending: Promise<number> | undefined;
  #openedMs = -Infinity;
  #isLeft = false;
  #isBomb = false;

  /** The unit is started at once; its program does not run before {@linkcode UnitProgram.open}. */
  constructor(options: UnitProgramOptions) {
    this.#options = options;
    this.group = options.group;
    this.hadEnded = options.hadEnded ?? false;
    this.exited = this.#exited.promise;
    this.bounded = this.#bounded.promise;
    this.#started = this.#start();
    // Who opens it is told.
    this.#started.catch(() => {});
    this.ended = this.#end();
  }

  get output(): AsyncIterable<OutputChunk> {
    const opened = this.#output.promise;
    return {
      async *[Symbol.asyncIterator]() {
        yield* await opened ?? [];
      },
    };
  }

  async open(): Promise<void> {
    const { manager, group: { unit }, signal, held } = this.#options;
    if (signal.aborted && held) return await this.#refuse(held);
    try {
      await this.#started;
    } catch (error) {
      if (held) await this.#refuse(held);
      throw error;
    }
    if (signal.aborted && held) return await this.#refuse(held);
    this.#output.resolve(await this.#openOutput());
    this.#watch = this.#watches.use(new UnitWatch(manager, unit, this.#onBound));
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener("abort", this.#onAbort, { once: true });
    const main = this.#watches.use(new MainEndWatch(manager, unit));
    void main.ended.then((end) => this.#exited.resolve(exitOf(end)));
    if (!held) return;
    this.#openedMs = performance.now();
    using gate = held.gate;
    // What does not read, as its user is not there, ends as well.
    await Promise.race([gate.open(), this.exited]);
    held.onBegun?.();
  }

  /** What cannot be read is not let run. */
  async #openOutput(): Promise<UnitOutput> {
    const { folder, store, held } = this.#options;
    try {
      return new UnitOutput(folder, store);
    } catch (error) {
      if (held) await this.#refuse(held);
      throw error;
    }
  }

  /** Nothing runs that was not let run; what waits at the gate goes, and its unit behind it. */
  async #refuse({ gate }: { gate: Disposable }): Promise<void> {
    const { manager, group: { unit }, folder } = this.#options;
    gate[Symbol.dispose]();
    await Deno.remove(folder, { recursive: true }).catch(() => {});
    this.#output.resolve(undefined);
    this.#exited.resolve({ exitCode: REFUSED, signal: undefined });
    void this.#started.then(() => manager.queueStop(unit)).catch(() => {});
  }

  /** One that is not wanted any more may still wait for its turn: systemd forgets it then. */
  async #start(): Promise<void> {
    const { manager, group: { unit }, signal, held } = this.#options;
    const takeBack = async () => {
      const state = await manager.property(unit, "Unit", "ActiveState");
      if (state === "inactive") await manager.queueStop(unit);
    };
    const onAbort = () => void takeBack().catch(() => {});
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await held?.start();
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  leave(): void {
    this.#isLeft = true;
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#watches.dispose();
    void this.#output.promise.then((output) => output?.leave());
  }

  async usage(): Promise<Usage> {
    return await this.#watch?.usage() ?? {};
  }

  readonly #onBound = ({ text, isOfProcesses }: Bound) => {
    this.#isBomb ||= isOfProcesses;
    const { manager, group: { unit }, askFirst } = this.#options;
    // Thousands that die at once would keep all others from the processors. Who must not be cut short
    // may still need a process, to leave well.
    if (isOfProcesses && !askFirst) void manager.setProperties(unit, GIVE_WAY).catch(() => {});
    this.#bounded.resolve(text);
  };

  readonly #onAbort = () => {
    if (this.#isLeft) return;
    this.#ending ??= this.#endAll(this.exited).catch(() => {
      // The task does not wait for that, and nobody can say that it has gone.
      void this.#endLater();
      return 1;
    });
    // What SIGKILL cannot end (a sleep that a dead disk holds) must not hold the task as well.
    void this.#ending.then(
      (left) => left > 0 && this.#exited.resolve({ exitCode: 128 + 9, signal: "SIGKILL" }),
    );
  };

  /** @throws {BusClosedError} where systemd is away. */
  async #endAll(exited: Promise<unknown>): Promise<number> {
    try {
      await this.#askToLeave(exited);
    } catch (error) {
      // Who cannot be asked is ended unasked; who can be asked later is not.
      if (error instanceof BusClosedError) throw error;
    }
    const { manager, group: { unit } } = this.#options;
    // Who forks without end would do so all the grace; and who handles a signal may have to fork.
    return await endUnit(manager, unit, this.#isBomb ? 0 : undefined);
  }

  /** Ends it when systemd is back, if this agent is still there. */
  async #endLater(): Promise<void> {
    const { manager, group: { unit } } = this.#options;
    for (let isEnded = false; !isEnded && !this.#isLeft;) {
      await delay(END_AGAIN_MS, { persistent: false });
      using main = new MainEndWatch(manager, unit);
      isEnded = await this.#endAll(main.ended)
        .then(() => true, (error) => !(error instanceof BusClosedError));
    }
  }

  async #askToLeave(exited: Promise<unknown>): Promise<void> {
    const { manager, group: { unit }, askFirst } = this.#options;
    if (!askFirst) return;
    const pid = Number(await manager.property(unit, "Service", "ExecMainPID"));
    await askFirst.ask(processGroupOf(pid));
    await settlesWithin(exited, askFirst.graceMs);
  }

  async #end(): Promise<ProgramEnd> {
    const { manager, group: { unit }, signal } = this.#options;
    const { exitCode, signal: endedBy } = await this.exited;
    const output = await this.#output.promise;
    if (output) {
      // One that was over at once, and went well, has met no bound.
      const wasQuick = performance.now() - this.#openedMs < QUICK_MS && exitCode === 0;
      if (!wasQuick) await this.#watch?.usage();
      // How it ended is known: that systemd is out of reach now takes nothing of that away.
      const isGone = await areGone(manager, unit, LINGER_MS).catch(() => false);
      if (isGone) this.#options.onGone?.();
      output.drain();
      await output.ended;
    }
    signal.removeEventListener("abort", this.#onAbort);
    const unkillable = await this.#ending ?? 0;
    this.#watches.dispose();
    // The next agent sees to it.
    if (this.#isLeft) await new Promise(() => {});
    return { exitCode, signal: endedBy, unkillable };
  }
}

/** What systemd has forgotten the end of somebody else has stopped, or stopped and started anew. */
function exitOf({ code, signal }: MainEnd): Exit {
  return code === undefined || signal === NOT_LAUNCHED
    ? { exitCode: 128 + 15, signal: "SIGTERM" }
    : { exitCode: code, signal };
}
