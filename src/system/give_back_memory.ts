import { delay } from "@std/async";
import { openLibc, readKernelFile } from "./libc.ts";
import { repeat } from "./periodic.ts";

/** The work of a start is done by then, in milliseconds. */
const START_MS = 10_000;
/** How often what a burst of work has left is given back, in milliseconds. */
const AGAIN_MS = 30_000;
/** V8 does not collect while nothing is done: it is asked to where so much has come since, in bytes. */
const BURST_BYTES = 16 * 1024 * 1024;
const MADV_DONTNEED = 4;
/** The machine code of a program: its pages, as the kernel's table of this process has them. */
const CODE = /^([0-9a-f]+)-([0-9a-f]+) r-xp [0-9a-f]+ [0-9a-f:]+ [1-9]\d* +(\/.*)$/gm;

/**
 * Gives back, a while after the start and now and then, the memory that is not needed any more: what the
 * C library keeps of what was freed, and what only a start runs, of the agent's code as V8 has compiled
 * it and of Deno's own. Pages of that which are run again come from the kernel's cache. Disposed of, it
 * stops.
 */
export function giveBackMemory(program: string, startMs = START_MS): Disposable {
  let heldBytes = 0;
  return repeat(async (signal) => {
    const isFirst = heldBytes === 0;
    await delay(isFirst ? startMs : AGAIN_MS, { signal });
    try {
      const isBurst = Deno.memoryUsage().rss > heldBytes + BURST_BYTES;
      if (isBurst) collect();
      if (isFirst) dropCode(program);
      trim();
      if (isBurst) heldBytes = Deno.memoryUsage().rss;
      return true;
    } catch {
      // There is no C library that does it: the agent is larger then, and works.
      return false;
    }
  });
}

/** What only a start has run is compiled anew should it ever run again: V8 lets go of it when it collects. */
function collect(): void {
  const collector: unknown = Reflect.get(globalThis, "gc");
  if (typeof collector === "function") collector({ type: "major", flavor: "last-resort" });
}

function trim(): void {
  using libc = openLibc();
  libc.symbols.malloc_trim(0n);
}

function dropCode(program: string): void {
  using libc = openLibc();
  for (const [, from, to, path] of readKernelFile(libc, "/proc/self/maps").matchAll(CODE)) {
    const [begin, end] = [BigInt(`0x${from}`), BigInt(`0x${to}`)];
    if (path === program) libc.symbols.madvise(begin, end - begin, MADV_DONTNEED);
  }
}
