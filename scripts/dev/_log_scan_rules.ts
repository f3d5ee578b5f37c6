import * as z from "@zod/zod";

const count = z.int().min(0);

/** Result of `log.scan` (contract, log.scan). */
const logScanResult = z.looseObject({
  sourcePresetId: z.enum(["syslog", "auth.log", "kern.log", "noderax-agent"]),
  sourceType: z.enum(["file", "journal"]),
  entries: z.array(z.strictObject({
    timestamp: z.iso.datetime({ offset: true }).optional(),
    message: z.string(),
    unit: z.string().optional(),
    identifier: z.string().optional(),
  })),
  cursor: z.strictObject({
    fileInode: z.string().optional(),
    fileOffset: count.optional(),
    journalCursor: z.string().optional(),
    lastReadAt: z.iso.datetime(),
    cursorResetReason: z.string().optional(),
  }),
  truncated: z.boolean(),
  bytesRead: count,
  linesRead: count,
  warnings: z.array(z.string()),
});

/** What the console could not show of a successful scan, in a sentence; undefined when it can. */
export function problemOfLogScan(result: unknown): string | undefined {
  const { error } = logScanResult.safeParse(result);
  const [issue] = error?.issues ?? [];
  return issue && `the result of log.scan: ${issue.path.join(".")}: ${issue.message}`;
}
