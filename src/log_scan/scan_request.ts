import * as z from "@zod/zod";
import { hasScopeAsRoot, NO_SCOPE } from "../privileges/root_scopes.ts";

/** Where a preset's entries come from. */
export type Source = { type: "file"; name: string } | { type: "journal"; unit: string };

/** The sources that can be asked for, by their name in the contract (contract: log.scan). */
export const PRESETS: ReadonlyMap<string, Source> = new Map<string, Source>([
  ["syslog", { type: "file", name: "syslog" }],
  ["auth.log", { type: "file", name: "auth.log" }],
  ["kern.log", { type: "file", name: "kern.log" }],
  ["noderax-agent", { type: "journal", unit: "noderax-agent.service" }],
]);

/** Zero and a missing limit mean the usual one. */
function limit(usual: number, most: number) {
  const range = `must be a whole number from 0 to ${most}`;
  return z.int(range).min(0, range).max(most, range).nullish()
    .transform((value) => value || usual);
}

/** How much a scan may tell: at most 2000 lines, 262144 bytes, and 500 lines of a tail. */
export const Limits = z.looseObject({
  maxLines: limit(500, 2_000),
  maxBytes: limit(65_536, 262_144),
  backfillLines: limit(200, 500),
});
/** How much a scan may tell. */
export type Limits = z.infer<typeof Limits>;

const text = z.string().nullish().transform((value) => value || undefined);

/** Where an earlier scan has ended; what it does not hold is not gone on from. */
export const Cursor = z.looseObject({
  fileInode: z.union([z.string(), z.number()]).nullish()
    .transform((value) => value ? String(value) : undefined),
  fileOffset: z.int().min(0, "must not be negative").nullish(),
  journalCursor: text.refine((value) => !value?.includes("\0"), "must not contain NUL"),
  lastReadAt: text,
});
/** Where an earlier scan has ended. */
export type Cursor = z.infer<typeof Cursor>;

/** The payload of `log.scan` (contract: log.scan). */
export const LogScanRequest = z.looseObject({
  mode: z.enum(["preview", "monitor"], 'must be "preview" or "monitor"'),
  sourcePresetId: z.string().refine((name) => PRESETS.has(name), {
    error: ({ input }) => `must be one of ${[...PRESETS.keys()].join(", ")}, not ${inJson(input)}`,
  }),
  limits: Limits.nullish().transform((value) => value ?? Limits.parse({})),
  cursor: Cursor.nullish(),
  runAsRoot: z.boolean().nullish().transform((value) => value ?? false),
  rootScope: z.literal("operational", 'must be "operational"').nullish(),
}).refine(hasScopeAsRoot, NO_SCOPE);
/** What is to be scanned. */
export type LogScanRequest = z.infer<typeof LogScanRequest>;

function inJson(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 200) ?? "nothing";
}

/** One entry of a log. */
export interface ScanEntry {
  /** When it was written, RFC 3339, where the source says so. */
  timestamp?: string;
  /** Its text. */
  message: string;
  /** The unit that it is of. */
  unit?: string;
  /** The program that wrote it. */
  identifier?: string;
}

/** Where a scan has ended, for the next one to go on from. */
export interface ScanCursor {
  /** The file's inode, as text. */
  fileInode?: string;
  /** How many bytes of the file are read. */
  fileOffset?: number;
  /** The journal's own cursor. */
  journalCursor?: string;
  /** When it was read, RFC 3339. */
  lastReadAt: string;
  /** Why the cursor of the request was not gone on from. */
  cursorResetReason?: string;
}

/** What a source has given. */
export interface Scanned {
  /** Its entries, oldest first. */
  entries: ScanEntry[];
  /** Where it has ended. */
  cursor: ScanCursor;
  /** Whether the limits have left something out. */
  truncated: boolean;
  /** How many bytes the entries have. */
  bytesRead: number;
  /** What the reader should know besides. */
  warnings: string[];
}

/** Result of `log.scan` (contract: log.scan). */
export type LogScanResult = Scanned & {
  sourcePresetId: string;
  sourceType: "file" | "journal";
  linesRead: number;
};
