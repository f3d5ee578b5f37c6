import assert from "node:assert/strict";

import type { LogStream } from "../control_plane/schemas.ts";
import type { BatchedEntry } from "./log_entries.ts";
import { SecretMask } from "./secret_mask.ts";
import { Spool, type SpoolLimits, type SpoolOptions } from "./spool.ts";
import { Gap, newCursor } from "./spool_index.ts";
import { TaskLog } from "./task_log.ts";

/** So small that a few dozen lines go through every part. */
export const SMALL: SpoolLimits = { step: 1_000, total: 1_000_000 };

export async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "spool_" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

export async function filesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).toSorted();
}

/** Runs a test in a folder of 16 KiB, if one can be had. */
export async function withTinyDisk(test: (folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const mount = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=16k", "tmpfs", folder],
      stderr: "null",
    }).output().catch(() => undefined);
    if (!mount?.success) {
      // deno-lint-ignore no-console
      console.warn("SKIPPED: no tmpfs can be mounted here");
      return;
    }
    try {
      await test(folder);
    } finally {
      await new Deno.Command("umount", { args: ["-l", folder] }).output();
    }
  });
}

export function append(spool: Spool, stream: LogStream, text: string, atMs = 0): Promise<void> {
  return spool.append(stream, new TextEncoder().encode(text), atMs);
}

export async function appendNumbers(spool: Spool, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await append(spool, "stdout", `${i}\n`, i);
}

export function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `stdout: ${from + i}`);
}

/** The next chunk as text with its stream, or a gap; the chunk counts as delivered. */
export async function take(spool: Spool): Promise<string | Gap | undefined> {
  const next = await spool.next();
  if (!next || next instanceof Gap) return next;
  using chunk = next;
  const { stream, bytes, start } = chunk;
  const text = new TextDecoder().decode(bytes);
  const streams = { ...spool.cursor.streams };
  streams[stream] = { byte: start + bytes.length, units: 0 };
  spool.delivered({ streams, record: chunk.record });
  return `${stream}: ${text}`;
}

/** Takes all there is, as lines of which each came as a chunk; a gap stands as `gap: <lines>`. */
export async function takeAll(spool: Spool): Promise<string[]> {
  const taken: string[] = [];
  for (let next = await take(spool); next !== undefined; next = await take(spool)) {
    taken.push(next instanceof Gap ? `gap: ${next.lines}` : next.replace(/\n$/, ""));
  }
  return taken;
}

/** How many lines the gaps among them leave out. */
export function leftOutOf(taken: string[]): number {
  return taken.map((each) => Number(/^gap: (\d+)/.exec(each)?.[1] ?? 0)).reduce((a, b) => a + b, 0);
}

/** A log of a task, of what an earlier agent has left if there is something. */
export async function openLog(
  prefix: string,
  options: SpoolOptions & { secrets?: string[]; onDamaged?: (path: string) => void } = {},
): Promise<TaskLog> {
  const { secrets = [], onDamaged = assert.fail, ...rest } = options;
  const onDiskError = (error: unknown) => assert.fail(String(error));
  const spool = await Spool.recover(prefix, {
    onDiskError,
    ...rest,
    onDamaged: (path) => Promise.resolve(onDamaged(path)),
  });
  const log = new TaskLog(spool, new SecretMask(secrets));
  await log.catchUp();
  return log;
}

/** Pulls entries, and delivers them, until there are `most` of them or none is left. */
export async function pull(log: TaskLog, most = Infinity): Promise<BatchedEntry[]> {
  const entries: BatchedEntry[] = [];
  if (most === 0) return entries;
  log.end();
  for await (const entry of log.entries()) {
    entries.push(entry);
    log.delivered(entry);
    if (entries.length >= most) break;
  }
  return entries;
}

/** What the entries have of a stream, each line with its newline. */
export function textOf(entries: BatchedEntry[], stream: LogStream): string {
  return entries.filter((each) => each.stream === stream).map(({ text }) => `${text}\n`).join("");
}

/** The index of a task in which nothing is delivered. */
export const EMPTY_CURSOR = newCursor();
