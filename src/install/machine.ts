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

/**
 * Throws a {@linkcode UserError} when this process is a part of the service, as in a terminal or a
 * task of the agent: it would end with the service, half way through. `commandLine` is what is to be
 * run elsewhere.
 */
export function requireOwnLife({ cgroups = ownCgroups }: Machine, commandLine: string): void {
  if (!/\/noderax-agent\.service(\/|$)/m.test(cgroups())) return;
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
