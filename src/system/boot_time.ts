import * as z from "@zod/zod";
import { cString, openLibc } from "./libc.ts";

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

/** It stays the same for as long as a process can live. */
let bootId: string | undefined;

function readBootId(): string {
  using libc = openLibc();
  const { symbols: { open, read, close }, check } = libc;
  const fd = check(open(cString(BOOT_ID), 0, 0), BOOT_ID);
  try {
    const bytes = new Uint8Array(BOOT_ID_BYTES);
    return new TextDecoder().decode(
      bytes.subarray(0, check(read(fd, bytes, BigInt(bytes.length)), BOOT_ID)),
    );
  } finally {
    close(fd);
  }
}
