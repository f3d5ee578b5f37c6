import * as z from "@zod/zod";
import { openLibc, readKernelFile } from "./libc.ts";

/** A moment that no change of the wall clock moves: it is comparable within one boot. */
export const BootTime = z.object({
  /** The boot in which it is counted. */
  bootId: z.string(),
  /** Milliseconds since then, suspends included. */
  ms: z.number(),
});
/** See {@linkcode BootTime}. */
export type BootTime = z.infer<typeof BootTime>;

const BOOT_ID = "/proc/sys/kernel/random/boot_id";
const BOOT_ID_BYTES = 36;

/** The present moment. */
export function bootTime(): BootTime {
  return { bootId: bootId ??= readBootId(), ms: Deno.osUptime() * 1_000 };
}

/** How long ago a moment was, in milliseconds; undefined where nobody can know: it was before a boot. */
export function msSince(then: BootTime, now: BootTime = bootTime()): number | undefined {
  return then.bootId === now.bootId && then.ms <= now.ms ? now.ms - then.ms : undefined;
}

/**
 * How long ago a moment was that is known to be of this boot, in milliseconds: a service that is locked
 * down in a container sees another boot id than the one before it, which was not.
 */
export function msSinceInBoot({ ms }: BootTime, now: BootTime = bootTime()): number {
  return Math.max(0, now.ms - ms);
}

/** It stays the same for as long as a process can live. */
let bootId: string | undefined;

function readBootId(): string {
  using libc = openLibc();
  return readKernelFile(libc, BOOT_ID, BOOT_ID_BYTES);
}
