import { openLibc, readKernelFile } from "./libc.ts";

const SYSTEMD = "/run/systemd/private";
/** No longer than this runs what is asked outside, in seconds: nobody waits for it any more then. */
const LIMIT_SECONDS = 60;

let known: boolean | undefined;

/**
 * Whether this process is a service that systemd has locked down: it may do less than root, and so may
 * its children. What it asks systemd to run may do all.
 */
export function isLockedDown(): boolean {
  return known ??= look();
}

/** What runs a program of root's outside of the sandbox of this service, if there is one. */
export function outside(argv: readonly string[], env: Record<string, string> = {}): string[] {
  if (!isLockedDown()) return [...argv];
  const variables = Object.entries(env).map(([name, value]) => `--setenv=${name}=${value}`);
  return [
    ...["systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--slice=noderax.slice"],
    ...["--description=Noderax log scan", `--property=RuntimeMaxSec=${LIMIT_SECONDS}`],
    ...["--property=LogLevelMax=warning", ...variables, "--"],
    // systemd would put variables in their places.
    ...argv.map((each) => each.replaceAll("$", () => "$$")),
  ];
}

function look(): boolean {
  try {
    if (Deno.uid() !== 0) return false;
    Deno.lstatSync(SYSTEMD);
    using libc = openLibc();
    return /^NoNewPrivs:\s*1$/m.test(readKernelFile(libc, "/proc/self/status"));
  } catch {
    return false;
  }
}

/** Whether SELinux refuses what its policy does not allow: systemd gets no pipes from another domain. */
export function enforcesSelinux(): boolean {
  try {
    using libc = openLibc();
    return readKernelFile(libc, "/sys/fs/selinux/enforce").trim() === "1";
  } catch {
    return false;
  }
}
