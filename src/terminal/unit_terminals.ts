import { join } from "@std/path";
import type { DescriptorStore } from "../system/descriptor_store.ts";
import type { Logger } from "../system/logger.ts";
import { SERVICE } from "../system/paths.ts";
import type { ServiceManager } from "../system/service_manager.ts";
import { messageOf } from "../system/user_error.ts";
import { endUnit } from "../hosts/end_unit.ts";
import { mainEndOf } from "../hosts/main_end.ts";
import { UnitLeftovers } from "../hosts/unit_leftovers.ts";
import { keptFolders, KeptSession } from "./kept_session.ts";
import type { TerminalStart } from "./payloads.ts";
import type { OpenLastingOptions, Terminal, TerminalPlace } from "./terminal.ts";
import { closeKept, type KeptDescriptors, openUnitPty, UnitPty } from "./unit_pty.ts";
import type { Shell } from "./shell.ts";
import { startUnitShell, unitOf, unitShell } from "./unit_shell.ts";

const SIGHUP = 1;
/** How long what runs in a terminal that nobody can have any more may take to leave, in milliseconds. */
const ORPHAN_GRACE_MS = 2_000;

/** What of systemd terminals need. */
export type UnitManager = Pick<
  ServiceManager,
  "startTransient" | "stop" | "queueStop" | "kill" | "property" | "processes" | "units" | "watch"
>;

/** What {@linkcode UnitTerminals} works with. */
export interface UnitTerminalsOptions {
  /** Starts units. */
  manager: UnitManager;
  /** Keeps descriptors. */
  store: Pick<DescriptorStore, "left" | "take" | "keep" | "forget" | typeof Symbol.dispose>;
  /** The folder of the sessions, which goes when the machine stops. */
  folder: string;
  /** What root's shells get of the agent's own environment. */
  environment: Record<string, string>;
  /** Whether new terminals get units. */
  startsUnits: boolean;
  /** Whether those of an earlier agent go on; else they are ended. */
  takesUp: boolean;
  /** How often it is looked whether what shells have left has gone, in milliseconds. */
  lookEveryMs?: number;
  /** The agent's log. */
  logger: Logger;
}

/**
 * Terminals that outlive the agent: the shell is in a unit of its own, the service manager holds the
 * pseudo terminal, and a folder says how far the session is.
 */
export class UnitTerminals implements TerminalPlace, Disposable {
  /** The sessions that an earlier agent has left, and that go on. */
  readonly left: readonly KeptSession[];
  readonly #options: UnitTerminalsOptions;
  readonly #leftovers: UnitLeftovers;
  readonly #startsUnits: boolean;

  private constructor(options: UnitTerminalsOptions, left: KeptSession[], startsUnits: boolean) {
    this.#options = options;
    this.left = left;
    this.#startsUnits = startsUnits;
    this.#leftovers = new UnitLeftovers(options);
  }

  /**
   * Takes up what an earlier agent has left; what cannot go on is ended. No unit is started where that
   * of this service is of an earlier agent, and has no store.
   */
  static async open(options: UnitTerminalsOptions): Promise<UnitTerminals> {
    const { manager, store, folder, logger, takesUp } = options;
    const most = Number(await manager.property(SERVICE, "Service", "FileDescriptorStoreMax"));
    if (options.startsUnits && most === 0) {
      const problem = "the unit of the service keeps no descriptors";
      logger.warn("terminals have no units", { problem });
    }
    const units = new Set((await manager.units(unitOf("*"))).map(({ name }) => name));
    const left: KeptSession[] = [];
    for (const path of keptFolders(folder)) {
      try {
        const kept = KeptSession.open(path);
        const names = namesOf(kept.sessionId);
        const isWhole = names.every((name) => store.left.includes(name));
        const goesOn = takesUp && kept.progress.shell !== "" && isWhole;
        if (goesOn && units.delete(unitOf(kept.sessionId))) left.push(kept);
        else kept.remove();
      } catch (error) {
        logger.warn("terminal of an earlier agent is lost", { path, error: messageOf(error) });
        await Deno.remove(path, { recursive: true }).catch(() => {});
      }
    }
    const place = new UnitTerminals(options, left, options.startsUnits && most > 0);
    // Before the terminals are let go: who has none any more is ended in order.
    const orphans = [...units].map((unit) => place.#collect(unit));
    const taken = new Set(left.flatMap(({ sessionId }) => namesOf(sessionId)));
    for (const name of store.left) if (!taken.has(name)) store.forget(name);
    void Promise.all(orphans);
    return place;
  }

  /** Makes what is kept of a new session, if it can have a unit. @throws what the disk answers. */
  create(request: TerminalStart): KeptSession | undefined {
    if (!this.#startsUnits) return undefined;
    return KeptSession.create(this.#options.folder, request);
  }

  /**
   * Opens the terminal of a session, or takes it up again.
   *
   * @throws when it cannot be opened; nothing is left of it then.
   */
  async open(kept: KeptSession, options: OpenLastingOptions): Promise<Terminal> {
    const { manager, environment } = this.#options;
    const { sessionId, spool, progress } = kept;
    const isNew = progress.shell === "";
    const onGrown = options.onGrown ?? (() => {});
    const fds = isNew ? await this.#make(kept) : this.#takeUp(kept);
    using opened = new DisposableStack();
    opened.defer(() => this.#forget(sessionId));
    const pty = opened.use(new UnitPty(fds, spool, onGrown));
    let shell: Shell;
    if (isNew) {
      pty.resize(options.size);
      const { path } = pty;
      const { launch, signal } = options;
      shell = await startUnitShell({ manager, path, sessionId, environment, launch, signal });
      opened.defer(() => shell.killNow());
      kept.note({ shell: shell.path });
    } else shell = unitShell(manager, sessionId, progress.shell);
    opened.move();
    return { pty, shell, outlives: true };
  }

  /** Forgets a session that has ended, and its unit as soon as nothing runs in it any more. */
  async close(kept: KeptSession): Promise<void> {
    try {
      kept.remove();
    } catch (error) {
      this.#options.logger.warn("files of a terminal cannot be removed", {
        folder: kept.folder,
        error: messageOf(error),
      });
    }
    this.#forget(kept.sessionId);
    await this.#collect(unitOf(kept.sessionId));
  }

  /** Lets go of what it works with. */
  [Symbol.dispose](): void {
    this.#options.store[Symbol.dispose]();
  }

  async #make({ sessionId, folder }: KeptSession): Promise<KeptDescriptors> {
    const fds = openUnitPty(join(folder, "pipe"));
    try {
      // Before there is a shell: else it could be left without its terminal.
      const [master, pipe] = namesOf(sessionId);
      const { store } = this.#options;
      // One behind the other: nothing is under way for a descriptor that is closed below.
      await store.keep(master, fds.master);
      await store.keep(pipe, fds.pipe);
      return fds;
    } catch (error) {
      closeKept(fds);
      this.#forget(sessionId);
      throw error;
    }
  }

  #takeUp({ sessionId }: KeptSession): KeptDescriptors {
    const [master = -1, pipe = -1] = namesOf(sessionId).map((name) =>
      this.#options.store.take(name)
    );
    return { master, pipe };
  }

  #forget(sessionId: string): void {
    for (const name of namesOf(sessionId)) this.#options.store.forget(name);
  }

  /**
   * What was left in the background by a shell that has ended goes on, and its unit shows it until it
   * ends; a shell that nobody can have any more is ended with all that runs in it.
   */
  async #collect(unit: string): Promise<void> {
    const { manager, logger } = this.#options;
    try {
      if (!await mainEndOf(manager, unit)) await endUnit(manager, unit, ORPHAN_GRACE_MS, SIGHUP);
      await this.#leftovers.remove(unit);
    } catch (error) {
      logger.warn("unit of a terminal is left", { unit, error: messageOf(error) });
      this.#leftovers.removeSoon(unit);
    }
  }
}

/** What the descriptors of a session are kept as. */
function namesOf(sessionId: string): readonly [master: string, pipe: string] {
  return [`terminal-${sessionId}`, `pipe-${sessionId}`];
}
