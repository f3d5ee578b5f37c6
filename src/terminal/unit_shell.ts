import { endUnit } from "../hosts/end_unit.ts";
import { MainEndWatch } from "../hosts/main_end.ts";
import { TASK_ID_VARIABLE } from "../hosts/process_table.ts";
import { EXEC_LAUNCH, launchText, unitProperties } from "../hosts/unit_launch.ts";
import { asAgent, type Launch } from "../privileges/launch.ts";
import { cString, type Libc, O_CLOEXEC, O_NONBLOCK, openLibc } from "../system/libc.ts";
import { openReadiness } from "../system/readiness.ts";
import { type ServiceManager, unitProperty } from "../system/service_manager.ts";
import { PTY_MODES } from "./modes.ts";
import { type Shell, shellCommand } from "./shell.ts";

const [SIGHUP, SIGKILL] = [1, 9];
const MFD_CLOEXEC = 1;
/** A pipe holds no more. */
const MAX_WORDS = 65_536;

/** What ends shells, and tells how they ended. */
type EndManager = Pick<ServiceManager, "kill" | "property" | "processes" | "watch">;
/** What starts them as well. */
type ShellManager = EndManager & Pick<ServiceManager, "startTransient" | "stop">;

/** The unit of a session. */
export function unitOf(sessionId: string): string {
  return `noderax-terminal-${sessionId}.service`;
}

/**
 * Starts the user's shell on the terminal `path` in a unit of its own, as {@linkcode startShell} does
 * without one, also where it has ended by then. It outlives the agent; root's has the `environment`.
 *
 * @throws when it does not start; nothing is left of it then.
 */
export async function startUnitShell(
  options: {
    manager: ShellManager;
    path: string;
    sessionId: string;
    launch?: Launch | undefined;
    environment: Record<string, string>;
    signal: AbortSignal;
  },
): Promise<Shell> {
  const { manager, path, sessionId, launch = asAgent, environment, signal } = options;
  const unit = unitOf(sessionId);
  const [mode] = PTY_MODES;
  if (!mode) throw new TypeError("there is no way to open a terminal");
  const { argv, env = {}, inUnit } = launch(shellCommand(path, mode));
  const own = inUnit?.user.uid === 0 ? environment : {};
  using libc = openLibc();
  using words = new Words(libc);
  using problems = new Words(libc);
  const variables = { ...own, ...env, [TASK_ID_VARIABLE]: sessionId };
  using text = new LaunchFile(libc, launchText(argv, variables));
  try {
    signal.throwIfAborted();
    await manager.startTransient(unit, [
      ...unitProperties({ description: `Noderax terminal ${sessionId}`, user: "root" }),
      // What runs in a terminal expects to be hung up on, and an interactive shell ignores SIGTERM.
      unitProperty("KillSignal", "i", SIGHUP),
      unitProperty("StandardInputFileDescriptor", "h", text.fd),
      unitProperty("StandardOutputFileDescriptor", "h", words.writer),
      unitProperty("StandardErrorFileDescriptor", "h", problems.writer),
      EXEC_LAUNCH,
    ]);
    const shell = unitShell(manager, sessionId, "");
    await Promise.race([words.line(signal), shell.status]);
    signal.throwIfAborted();
    const [first, ...rest] = words.all().split("\n");
    if (first === undefined || rest.length === 0) {
      const { code } = await shell.status;
      throw new Error(problems.all().trim() || `the shell exited with code ${code ?? "unknown"}`);
    }
    return { ...shell, path: first };
  } catch (error) {
    await manager.stop(unit).catch(() => {});
    throw error;
  }
}

/** The shell of a session that runs in its unit, or did. */
export function unitShell(manager: EndManager, sessionId: string, path: string): Shell {
  const unit = unitOf(sessionId);
  return {
    path,
    status: new MainEndWatch(manager, unit).ended,
    end: (graceMs) => endUnit(manager, unit, graceMs, SIGHUP),
    killNow: () => void manager.kill(unit, "all", SIGKILL).catch(() => {}),
  };
}

/** What a unit is launched with, in a file that nobody else can open. */
class LaunchFile implements Disposable {
  readonly fd: number;
  readonly #libc: Libc;

  constructor(libc: Libc, text: string) {
    this.#libc = libc;
    const { symbols, check } = libc;
    this.fd = check(symbols.memfd_create(cString("launch"), MFD_CLOEXEC), "memfd_create");
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at);
      const result = symbols.pwrite(this.fd, part, BigInt(part.length), BigInt(at));
      at += check(result, "write");
    }
  }

  [Symbol.dispose](): void {
    this.#libc.symbols.close(this.fd);
  }
}

/** A pipe for the few words that come before the shell; systemd holds its end for as long as the unit. */
class Words implements Disposable {
  readonly writer: number;
  readonly #reader: number;
  readonly #libc: Libc;
  readonly #readiness = openReadiness();
  #text = "";
  #isClosed = false;

  constructor(libc: Libc) {
    this.#libc = libc;
    const ends = new Int32Array(2);
    const made = libc.symbols.pipe2(new Uint8Array(ends.buffer), O_CLOEXEC | O_NONBLOCK);
    libc.check(made, "pipe2");
    [this.#reader = -1, this.writer = -1] = ends;
  }

  /** Resolves when there is a line, when the signal aborts, or when nobody wants to know any more. */
  async line(signal: AbortSignal): Promise<void> {
    const forget = () => this.#readiness.forget(this.#reader);
    signal.addEventListener("abort", forget, { once: true });
    try {
      // Once it is closed the number of its descriptor may be another one's.
      while (!this.#isClosed && !signal.aborted && !this.all().includes("\n")) {
        await this.#readiness.wait(this.#reader);
      }
    } finally {
      signal.removeEventListener("abort", forget);
    }
  }

  /** All that has come. */
  all(): string {
    const bytes = new Uint8Array(MAX_WORDS);
    const read = Number(this.#libc.symbols.read(this.#reader, bytes, BigInt(bytes.length)));
    if (read > 0) this.#text += new TextDecoder().decode(bytes.subarray(0, read));
    return this.#text;
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#readiness.forget(this.#reader);
    this.#readiness[Symbol.dispose]();
    this.#libc.symbols.close(this.#reader);
    this.#libc.symbols.close(this.writer);
  }
}
