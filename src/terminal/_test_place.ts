import { join } from "@std/path";
import { openLibc } from "../system/libc.ts";
import { keptFolders, KeptSession } from "./kept_session.ts";
import type { TerminalManagerOptions } from "./manager.ts";
import { PTY_MODES } from "./modes.ts";
import { type Shell, startShell } from "./shell.ts";
import type { OpenLastingOptions, Terminal } from "./terminal.ts";
import { openUnitPty, UnitPty } from "./unit_pty.ts";

const F_DUPFD_CLOEXEC = 1030;

type Place = NonNullable<TerminalManagerOptions["place"]>;

/**
 * Keeps terminals for a next agent, which is another manager of the same process: the shells are
 * children, and the descriptors are kept here.
 */
export class TestPlace implements AsyncDisposable {
  readonly #folder = Deno.makeTempDirSync({ prefix: "noderax-test-" });
  readonly #kept = new Map<string, { fds: { master: number; pipe: number }; shell: Shell }>();
  /** The sessions that were closed. */
  readonly closed: string[] = [];

  /** The place as one agent has it. */
  place(): Place {
    return {
      left: keptFolders(this.#folder).map((path) => KeptSession.open(path)),
      create: (request) => KeptSession.create(this.#folder, request),
      open: (kept, options) => this.#open(kept, options),
      close: (kept) => {
        this.closed.push(kept.sessionId);
        kept.remove();
        return Promise.resolve();
      },
    };
  }

  /** The shell of a session. */
  shell(sessionId: string): Shell | undefined {
    return this.#kept.get(sessionId)?.shell;
  }

  async #open(kept: KeptSession, options: OpenLastingOptions): Promise<Terminal> {
    const { sessionId, spool } = kept;
    const known = this.#kept.get(sessionId);
    const fds = known?.fds ?? openUnitPty(join(kept.folder, "pipe"));
    using libc = openLibc();
    const copy = (fd: number) => libc.symbols.fcntl(fd, F_DUPFD_CLOEXEC, 0);
    const copies = { master: copy(fds.master), pipe: copy(fds.pipe) };
    const pty = new UnitPty(copies, spool, options.onGrown ?? (() => {}));
    if (known) return { pty, shell: known.shell, outlives: true };
    pty.resize(options.size);
    const [mode] = PTY_MODES;
    if (!mode) throw new TypeError("there is no mode");
    const shell = await startShell({ path: pty.path, sessionId, mode, ...options });
    this.#kept.set(sessionId, { fds, shell });
    kept.note({ shell: shell.path });
    return { pty, shell, outlives: true };
  }

  /** Ends the shells. */
  async [Symbol.asyncDispose](): Promise<void> {
    using libc = openLibc();
    for (const { fds, shell } of this.#kept.values()) {
      await shell.end(0);
      for (const fd of [fds.master, fds.pipe]) libc.symbols.close(fd);
    }
    await Deno.remove(this.#folder, { recursive: true });
  }
}
