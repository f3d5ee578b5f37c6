import { delay } from "@std/async";
import { cString, type Libc, O_CLOEXEC, O_RDWR, openLibc } from "../system/libc.ts";
import { unmakeSync } from "../system/own_file.ts";
import { BusError } from "../system/sd_bus.ts";
import { type ServiceManager, type UnitProperty, unitProperty } from "../system/service_manager.ts";
import { messageOf } from "../system/user_error.ts";
import { mainEndOf } from "./main_end.ts";
import { gatePath, UnitGate } from "./unit_gate.ts";
import { EXEC_LAUNCH, NOT_LAUNCHED } from "./unit_launch.ts";
import { FIFO_MODE } from "./unit_output.ts";

/**
 * How long who waits at a gate may take to see that its agent has died, in milliseconds: on a machine
 * that has much to do. Only one that was let run in its agent's very last moment is waited for so long.
 */
const ORPHAN_MS = 10_000;
const LOOK_MS = 20;
/** Of `fcntl`: another descriptor of the same, which children do not get. */
const COPY = 1030;

/** A unit to be started. */
export interface UnitToStart {
  /** Its name. */
  unit: string;
  /** Where its FIFOs are. */
  folder: string;
  /** What holds its program back. */
  gate: Pick<UnitGate, "reader">;
  /** Its properties, but for program and pipes. */
  properties: (isLate: boolean) => UnitProperty[];
  /** Finds out whether the agent's own unit is being stopped. */
  isLate: () => Promise<boolean>;
}

/** Makes the FIFOs of a unit, and the gate at which its program is told by `text` what to run. */
export function prepareUnit(folder: string, owner: number, text: string): UnitGate {
  makeFolder(folder);
  try {
    using libc = openLibc();
    for (const name of ["stdout", "stderr"]) makeFifo(libc, `${folder}/${name}`, owner);
    return new UnitGate(folder, owner, text);
  } catch (error) {
    unmakeSync(`${folder}/stdout`, `${folder}/stderr`, gatePath(folder), folder);
    throw error;
  }
}

/**
 * Starts a unit with its FIFOs. systemd keeps what it is given of them, for reading and writing, as
 * long as the unit is there: nobody ever writes to a pipe without a reader.
 */
export async function startUnit(
  manager: Pick<ServiceManager, "startTransient" | "stop">,
  { unit, folder, gate, properties, isLate }: UnitToStart,
): Promise<void> {
  using libc = openLibc();
  using opened = new DisposableStack();
  const closed = (fd: number) => opened.adopt(fd, (fd) => void libc.symbols.close(fd));
  const open = (path: string) =>
    closed(libc.check(libc.symbols.open(cString(path), O_RDWR | O_CLOEXEC, 0), path));
  // A gate that is not wanted any more closes its own, and its number may be another one's by then.
  const copied = libc.symbols.fcntl(gate.reader, COPY, 0);
  const pipes = [
    unitProperty("StandardInputFileDescriptor", "h", closed(libc.check(copied, "fcntl"))),
    unitProperty("StandardOutputFileDescriptor", "h", open(`${folder}/stdout`)),
    unitProperty("StandardErrorFileDescriptor", "h", open(`${folder}/stderr`)),
  ];
  const start = (late: boolean) =>
    manager.startTransient(unit, [...properties(late), ...pipes, EXEC_LAUNCH]);
  try {
    const first = start(false);
    first.catch(() => {});
    // Asked meanwhile: hardly any is late, and such a one still waits for its turn.
    const late = await isLate();
    // Else an earlier agent has started it, and died before it let it run.
    const isInPlace = late || await first.then(() => false, isUnitThere);
    if (isInPlace) await manager.stop(unit);
    const result = await (isInPlace ? start(late) : first);
    if (result !== "done") throw new Error(`it answers "${result}"`);
  } catch (error) {
    throw new Error(`systemd does not start its unit: ${messageOf(error)}`);
  }
}

/** Whether a unit has waited at its gate until its agent died: one that has begun goes on, or ends. */
export async function hasNotBegun(
  manager: Pick<ServiceManager, "property">,
  unit: string,
): Promise<boolean> {
  const endMs = performance.now() + ORPHAN_MS;
  for (;;) {
    const end = await mainEndOf(manager, unit);
    if (end) return end.signal === NOT_LAUNCHED;
    if (performance.now() >= endMs) return false;
    await delay(LOOK_MS);
  }
}

function isUnitThere(error: unknown): boolean {
  return error instanceof BusError && error.code.endsWith(".UnitExists");
}

/** Makes a folder anew; it is in memory, where a step takes less than to wait for it. */
function makeFolder(path: string): void {
  try {
    Deno.mkdirSync(path, { mode: 0o700 });
  } catch {
    try {
      Deno.removeSync(path, { recursive: true });
    } catch {
      // It is the folder around it that is not there.
    }
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  }
}

/** Its owner is who writes to it; root's group lets in an agent that owns nothing. */
function makeFifo({ symbols, check }: Libc, path: string, owner: number): void {
  check(symbols.mkfifo(cString(path), 0o600), path);
  Deno.chmodSync(path, FIFO_MODE);
  if (owner !== 0) Deno.chownSync(path, owner, null);
}
