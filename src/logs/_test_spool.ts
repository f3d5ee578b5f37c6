import assert from "node:assert/strict";
import type { Batch, StreamPositions } from "./batch.ts";
import { SegmentParser } from "./segment.ts";
import { Spool, type SpoolLimits } from "./spool.ts";

/** So small that a few dozen lines go through every part. */
export const SMALL: SpoolLimits = { memory: 1_000, segment: 250, total: 1_000_000 };

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

/** Takes batches until there is none, as a control plane that takes everything. */
export async function takeAll(spool: Spool): Promise<Batch[]> {
  const batches: Batch[] = [];
  for (let batch = await spool.shift(); batch; batch = await spool.shift()) {
    batches.push(batch);
    spool.delivered(batch.stream, batch.end, batch.leftOut);
  }
  return batches;
}

export function linesOf(batches: Batch[]): string[] {
  return batches.flatMap(({ stream, text }) => {
    assert(text.endsWith("\n"), "only whole lines come out");
    return text.split("\n").slice(0, -1).map((line) => `${stream}: ${line}`);
  });
}

/** Reads a whole segment; in pieces of so many characters, if they are given. */
export function parseSegment(
  content: string,
  delivered: StreamPositions,
  pieceUnits = content.length,
): { batches: Batch[]; damaged: boolean } {
  const parser = new SegmentParser(delivered);
  const batches: Batch[] = [];
  for (let at = 0; at < content.length; at += pieceUnits) {
    batches.push(...parser.push(content.slice(at, at + pieceUnits)));
  }
  return { batches, damaged: parser.damaged };
}

/** How many lines the notes among them say were left out. */
export function leftOutOf(lines: string[]): number {
  const counts = lines.map((line) => /^system: \[… (\d+) lines left out/.exec(line)?.[1] ?? 0);
  return counts.reduce((sum: number, count) => sum + Number(count), 0);
}

export function numbered(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `stdout: ${from + i}`);
}

export async function pushNumbers(spool: Spool, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await spool.push("stdout", `${i}\n`, i);
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
      await new Deno.Command("umount", { args: [folder] }).output();
    }
  });
}

/** What an earlier agent left, and all that was still on its disk. */
export async function recover(
  prefix: string,
  onDiskError: (error: unknown) => void = (error) => assert.fail(String(error)),
  limits: Partial<SpoolLimits> = {},
): Promise<{ spool: Spool; kept: Batch[]; damaged: string[] }> {
  const kept: Batch[] = [];
  const damaged: string[] = [];
  const onBatch = (batch: Batch) => kept.push(batch);
  const onDamaged = (path: string) => Promise.resolve(void damaged.push(path));
  const spool = await Spool.recover(prefix, { limits, onDiskError, onBatch, onDamaged });
  return { spool, kept, damaged };
}
