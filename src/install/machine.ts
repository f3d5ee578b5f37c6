import { openLibc, readKernelFile } from "../system/libc.ts";
import type { INSTALLED } from "../system/paths.ts";
import type { RunTool } from "../system/tool.ts";
import { lookAt } from "../system/trust.ts";
import { UserError } from "../system/user_error.ts";
import { openOwn } from "../system/own_file.ts";

/** Where the parts of an installation belong, as {@linkcode INSTALLED} says. */
export type Places = { readonly [place in keyof typeof INSTALLED]: string };

/** The machine that is installed on. */
export interface Machine {
  /** Where everything belongs. */
  places: Places;
  /** Runs its tools. */
  run: RunTool;
  /** The control groups of this process; those that the kernel names by default. */
  cgroups?: () => string;
}

/** Runs a tool that must succeed; gives its output. Throws a {@linkcode UserError} with its words. */
export async function must(run: RunTool, program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, ...args);
  if (code === 0) return stdout;
  const words = stderr || stdout || `exit code ${code}`;
  throw new UserError(`\`${[program, ...args].join(" ")}\` failed: ${words.split("\n")[0]}`);
}

/** Whether there is anything at `path`, be it a link that leads nowhere. */
export async function isThere(path: string): Promise<boolean> {
  return await lookAt(path) !== undefined;
}

/** Mode and owner of what is at `path`, such as `700 0:0`; empty if nothing is. */
export async function modeAndOwner(run: RunTool, path: string): Promise<string> {
  return (await run("stat", "--format=%a %u:%g", path)).stdout;
}

/** Removes a file, or a folder with all that is in it; gives whether there was one. */
export async function removeAll(path: string): Promise<boolean> {
  if (!await isThere(path)) return false;
  await Deno.remove(path, { recursive: true });
  return true;
}

/** Who is a part of the service: a terminal or a task that is the agent's child. */
const IN_SERVICE = /\/noderax-agent\.service(\/|$)/m;
/** Who outlives a restart of the service, but not its stop: in units of their own. */
const IN_UNIT = /\/noderax-(task|terminal)-/;

/**
 * Throws a {@linkcode UserError} when this process would end with the service, half way through: a
 * terminal or a task of the agent, when the service is restarted or, with `stops`, is stopped.
 * `commandLine` is what is to be run elsewhere.
 */
export function requireOwnLife(
  { cgroups = ownCgroups }: Machine,
  commandLine: string,
  { stops = false } = {},
): void {
  const groups = cgroups();
  if (!IN_SERVICE.test(groups) && !(stops && IN_UNIT.test(groups))) return;
  throw new UserError(
    "This shell belongs to the agent's service and ends with it: run " +
      `\`systemd-run --pipe --wait ${commandLine}\`.`,
  );
}

function ownCgroups(): string {
  using libc = openLibc();
  return readKernelFile(libc, "/proc/self/cgroup");
}

/**
 * Keeps the installation to this process until it is disposed of or the process ends: two that
 * replace the program at once would mix what they install. Only root may open the lock's file.
 *
 * @throws {UserError} when another process has it.
 */
export async function lockInstallation({ runtimeFolder }: Places): Promise<AsyncDisposable> {
  const path = `${runtimeFolder}.lock`;
  for (;;) {
    const file = await openOwn(path, { write: true, create: true });
    if (!await file.tryLock(true)) {
      file.close();
      throw new UserError(
        "The agent is being installed, updated or removed by another process: wait for its end.",
      );
    }
    const [there, held] = await Promise.all([lookAt(path), file.stat()]);
    if (there?.dev === held.dev && there.ino === held.ino) {
      return {
        async [Symbol.asyncDispose]() {
          // Removed while it is held: whoever waits with the old file looks whether it is still there.
          await Deno.remove(path).catch(() => {});
          file.close();
        },
      };
    }
    file.close();
  }
}
