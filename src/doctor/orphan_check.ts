import { openLibc, readKernelFile, readKernelFolder } from "../system/libc.ts";
import { REAPER } from "../system/reaper.ts";
import { type Check, type Finding, ok, skip, warn } from "./check.ts";

/** So many may be there for a moment. */
const FEW_ZOMBIES = 5;

/** What becomes of the processes that tasks leave behind: process 1 gets them, and has to wait for them. */
export function orphanChecks(processes: string = "/proc"): Check[] {
  return [{ name: "orphans", run: () => checkOrphans(processes) }];
}

function checkOrphans(processes: string): Finding {
  using libc = openLibc();
  const read = (path: string) => {
    try {
      return readKernelFile(libc, `${processes}/${path}`);
    } catch {
      return undefined;
    }
  };
  const first = read("1/comm")?.trim();
  if (first === undefined) return skip("process 1 cannot be seen");
  const isReaper = read("1/cmdline")?.split("\0").includes(REAPER);
  const who = isReaper
    ? "the agent is process 1 of a container and runs under a reaper of its own"
    : `process 1 is ${first}`;
  const zombies = (readKernelFolder(libc, processes) ?? []).filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    // Behind its name, which may hold anything, come its state and its parent.
    const stat = read(`${name}/stat`) ?? "";
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z 1 ");
  }).length;
  if (zombies <= FEW_ZOMBIES) return ok(`${who}; no orphans stay as zombies`);
  return warn(
    `${who}; it leaves ${zombies} zombies`,
    "give the container an init that reaps (docker run --init)",
  );
}
