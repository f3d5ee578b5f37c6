import { join } from "@std/path";
import type { DescriptorStore } from "../system/descriptor_store.ts";
import type { Logger } from "../system/logger.ts";
import { type Libc, openLibc } from "../system/libc.ts";
import { SERVICE } from "../system/paths.ts";
import type { ServiceManager } from "../system/service_manager.ts";
import { messageOf } from "../system/user_error.ts";
import type { Launch } from "../privileges/launch.ts";
import { keptFolders, KeptSession } from "./kept_session.ts";
import type { TerminalStart } from "./payloads.ts";
import type { Size } from "./pty.ts";
import type { Terminal } from "./terminal.ts";
import { type KeptDescriptors, openUnitPty, UnitPty } from "./unit_pty.ts";
import { startUnitShell, unitOf, unitShell } from "./unit_shell.ts";

/** How to open a terminal that lasts. */
export interface OpenLastingOptions {
  /** The size to begin with. */
  size: Size;
  /** Called when there is more output in what is kept. */
  onGrown?: (() => void) | undefined;
  /** Makes the shell another user's than the agent's. */
  launch?: Launch | undefined;
  /** Gives up and ends what was started. */
  signal: AbortSignal;
}

/** What {@linkcode UnitTerminals} works with. */
export interface UnitTerminalsOptions {
  /** Starts units. */
  manager: ServiceManager;
  /** Keeps descriptors. */
  store: DescriptorStore;
  /** The folder of the sessions, which goes when the machine or the service stops. */
  folder: string;
  /** The agent's log. */
  logger: Logger;
}

/**
 * Terminals that outlive the agent: the shell is in a unit of its own, the service manager holds the
 * pseudo terminal, and a folder says how far the session is.
 */
export class UnitTerminals implements Disposable {
  /** The sessions that an earlier agent has left, and that go on. */
  readonly left: readonly KeptSession[];
  readonly #options: UnitTerminalsOptions;
  readonly #libc: Libc = openLibc();

  private constructor(options: UnitTerminalsOptions, left: KeptSession[]) {
    this.#options = options;
    this.left = left;
  }

  /**
   * Takes up what an earlier agent has left; what cannot go on is ended. A sentence that says why
   * there are none, where the unit of this service is of an earlier agent.
   */
  static async open(options: UnitTerminalsOptions): Promise<UnitTerminals | string> {
    const { manager, store, folder, logger } = options;
    const most = await manager.property(SERVICE, "Service", "FileDescriptorStoreMax");
    if (Number(most) === 0) return "the unit of the service keeps no descriptors";
    const units = new Set((await manager.units(unitOf("*"))).map(({ name }) => name));
    const left: KeptSession[] = [];
    for (const path of keptFolders(folder)) {
      try {
        const kept = KeptSession.open(path);
        const names = namesOf(kept.sessionId);
        const isWhole = names.every((name) => store.left.includes(name));
        if (kept.progress.shell !== "" && isWhole && units.delete(unitOf(kept.sessionId))) {
          left.push(kept);
        } else kept.remove();
      } catch (error) {
        logger.warn("terminal of an earlier agent is lost", { path, error: messageOf(error) });
        Deno.removeSync(path, { recursive: true });
      }
    }
    const taken = new Set(left.flatMap(({ sessionId }) => namesOf(sessionId)));
    for (const name of store.left) if (!taken.has(name)) store.forget(name);
    const place = new UnitTerminals(options, left);
    for (const unit of units) await place.#collect(unit);
    return place;
  }

  /** Makes what is kept of a new session. @throws what the disk answers. */
  create(request: TerminalStart): KeptSession {
    return KeptSession.create(this.#options.folder, request);
  }

  /**
   * Opens the terminal of a session, or takes it up again.
   *
   * @throws when it cannot be opened; nothing is left of it then.
   */
  async open(kept: KeptSession, options: OpenLastingOptions): Promise<Terminal> {
    const { manager } = this.#options;
    const { sessionId, spool, progress } = kept;
    const isNew = progress.shell === "";
    const fds = isNew ? await this.#make(kept) : this.#takeUp(kept);
    const pty = new UnitPty(fds, spool, options.onGrown ?? (() => {}));
    try {
      if (!isNew) {
        return { pty, shell: unitShell(manager, sessionId, progress.shell), outlives: true };
      }
      pty.resize(options.size);
      const shell = await startUnitShell({ manager, path: pty.path, sessionId, ...options });
      kept.note({ shell: shell.path });
      return { pty, shell, outlives: true };
    } catch (error) {
      pty[Symbol.dispose]();
      this.#forget(sessionId);
      throw error;
    }
  }

  /** Forgets a session that has ended, and its unit when nothing runs in it any more. */
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
    this.#libc[Symbol.dispose]();
  }

  async #make({ sessionId, folder }: KeptSession): Promise<KeptDescriptors> {
    const fds = openUnitPty(join(folder, "pipe"));
    try {
      // Before there is a shell: else it could be left without its terminal.
      const [master, pipe] = namesOf(sessionId);
      await this.#options.store.keep(master, fds.master);
      await this.#options.store.keep(pipe, fds.pipe);
      return fds;
    } catch (error) {
      for (const fd of [fds.master, fds.pipe]) this.#libc.symbols.close(fd);
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
   * What was left in the background by a shell that has ended goes on, and its unit shows it. An empty
   * unit is not waited for: while the agent's own is stopped it goes after that.
   */
  async #collect(unit: string): Promise<void> {
    const { manager, logger } = this.#options;
    const onError = (error: unknown) =>
      logger.warn("unit of a terminal is left", { unit, error: messageOf(error) });
    try {
      if ((await manager.processes(unit)).length === 0) manager.stop(unit).catch(onError);
    } catch (error) {
      onError(error);
    }
  }
}

/** What the descriptors of a session are kept as. */
function namesOf(sessionId: string): readonly [master: string, pipe: string] {
  return [`terminal-${sessionId}`, `pipe-${sessionId}`];
}
