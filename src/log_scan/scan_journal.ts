import * as z from "@zod/zod";
import { jsonOf } from "../system/text.ts";
import { UserError } from "../system/user_error.ts";
import type { LogScanRequest, ScanEntry, Scanned } from "./scan_request.ts";
import { NotPermittedError, type Read } from "./read_as.ts";

/** What the journal says of entries is more than their text; no more of it is read. */
const MAX_JSON_BYTES = 4 * 1024 * 1024;

/** A field of the journal: text, bytes that are no text, several of either, or too large to be told. */
const Field = z.union([
  z.string(),
  z.array(z.int().min(0).max(255)).transform((bytes) =>
    new TextDecoder().decode(Uint8Array.from(bytes))
  ),
  z.unknown().transform(() => ""),
]);
const JournalEntry = z.looseObject({
  __CURSOR: z.string(),
  __REALTIME_TIMESTAMP: z.coerce.number(),
  MESSAGE: Field.optional(),
  _SYSTEMD_UNIT: z.string().optional().catch(undefined),
  SYSLOG_IDENTIFIER: z.string().optional().catch(undefined),
});
type JournalEntry = z.infer<typeof JournalEntry>;

/** Scans the journal of a unit: its end, or what has come since the request's cursor. */
export async function scanJournal(
  unit: string,
  request: LogScanRequest,
  read: Read,
): Promise<Scanned> {
  const cursor = request.mode === "monitor" ? request.cursor?.journalCursor : undefined;
  const forward = cursor === undefined
    ? undefined
    : await ask(unit, [`--after-cursor=${cursor}`], read);
  if (forward && forward.code === 0) return onwards(forward, cursor, request);
  const count = Math.min(request.limits.backfillLines, request.limits.maxLines);
  // The newest first: what the bound on the whole leaves out is the oldest.
  const last = await ask(unit, ["--reverse", `--lines=${count}`], read);
  if (last.code !== 0) throw new UserError(`the journal cannot be read: ${last.stderr}.`);
  const kept = within(last.found, request.limits.maxBytes);
  const newest = last.found[0]?.__CURSOR;
  const isCut = kept.length < last.found.length || last.isCut ||
    (count < request.limits.backfillLines && last.found.length === count);
  return {
    ...told(kept.toReversed()),
    truncated: isCut,
    cursor: {
      ...(newest === undefined ? {} : { journalCursor: newest }),
      lastReadAt: new Date().toISOString(),
      ...(forward ? { cursorResetReason: "invalid" } : {}),
    },
    warnings: forward
      ? ["the journal does not know the cursor of the last scan: its end is read again"]
      : kept.length === 0
      ? [`the journal holds nothing of ${unit}`]
      : [],
  };
}

type Answer = { code: number; isCut: boolean; stderr: string; found: JournalEntry[] };

/** What has come since, oldest first. */
function onwards(
  { found, isCut }: Answer,
  cursor: string | undefined,
  { limits }: LogScanRequest,
): Scanned {
  const kept = within(found.slice(0, limits.maxLines), limits.maxBytes);
  const journalCursor = kept.at(-1)?.__CURSOR ?? cursor;
  return {
    ...told(kept),
    truncated: isCut || kept.length < found.length,
    cursor: {
      ...(journalCursor === undefined ? {} : { journalCursor }),
      lastReadAt: new Date().toISOString(),
    },
    warnings: [],
  };
}

async function ask(unit: string, options: string[], read: Read): Promise<Answer> {
  const argv = ["journalctl", `--unit=${unit}`, "--output=json", "--all", "--utc", "--no-pager"];
  const fields = "--output-fields=MESSAGE,_SYSTEMD_UNIT,SYSLOG_IDENTIFIER";
  const { code, stdout, isCut, stderr } = await read.program(
    [...argv, fields, ...options],
    MAX_JSON_BYTES,
  ).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UserError("this machine has no journalctl: there is no journal to read.");
  });
  // Without the rights for it the journal tells what it may, with success.
  if (/not seeing messages|insufficient permissions/i.test(stderr)) {
    throw new NotPermittedError("the journal of the system", stderr);
  }
  const lines = new TextDecoder().decode(stdout).split("\n");
  const parsed = lines.map((line) => JournalEntry.safeParse(jsonOf(line)));
  const found = parsed.flatMap(({ data }) => data ? [data] : []);
  return { code: isCut ? 0 : code, isCut, stderr, found };
}

function textOf({ MESSAGE = "" }: JournalEntry): string {
  return MESSAGE;
}

/** The first entries whose text fits; one that alone does not is cut. */
function within(entries: JournalEntry[], maxBytes: number): JournalEntry[] {
  let left = maxBytes;
  const kept: JournalEntry[] = [];
  for (const entry of entries) {
    const bytes = new TextEncoder().encode(textOf(entry));
    if (bytes.length > left && kept.length > 0) break;
    const MESSAGE = new TextDecoder().decode(bytes.subarray(0, left));
    kept.push(bytes.length > left ? { ...entry, MESSAGE } : entry);
    left -= bytes.length;
    if (left <= 0) break;
  }
  return kept;
}

function told(found: JournalEntry[]): Pick<Scanned, "entries" | "bytesRead"> {
  const entries = found.map((entry): ScanEntry => ({
    timestamp: new Date(entry.__REALTIME_TIMESTAMP / 1_000).toISOString(),
    message: textOf(entry),
    ...(entry._SYSTEMD_UNIT === undefined ? {} : { unit: entry._SYSTEMD_UNIT }),
    ...(entry.SYSLOG_IDENTIFIER === undefined ? {} : { identifier: entry.SYSLOG_IDENTIFIER }),
  }));
  const encoder = new TextEncoder();
  const bytesRead = found.reduce((sum, entry) => sum + encoder.encode(textOf(entry)).length, 0);
  return { entries, bytesRead };
}
