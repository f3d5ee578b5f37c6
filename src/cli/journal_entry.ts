import * as z from "@zod/zod";
import { readLines } from "./lines.ts";

/** What `journalctl -o json` tells of an entry, or `null` beyond its limit of a field's length. */
const Field = z.union([
  z.string(),
  z.null().transform(() => ""),
  // Bytes, where it is no text that can be shown.
  z.array(z.number()).transform((bytes) => new TextDecoder().decode(new Uint8Array(bytes))),
]).catch("").optional();

/** One entry of the journal. What begins with `_` was written by journald, the rest by anybody. */
export const JournalEntry = z.object({
  MESSAGE: Field,
  MESSAGE_ID: Field,
  N_DROPPED: Field,
  SYSLOG_IDENTIFIER: Field,
  _COMM: Field,
  _PID: Field,
  _UID: Field,
  _TRANSPORT: Field,
  _SYSTEMD_UNIT: Field,
  _SYSTEMD_INVOCATION_ID: Field,
});
/** See {@linkcode JournalEntry}. */
export type JournalEntry = z.infer<typeof JournalEntry>;

/** What `journalctl` is told, so that its lines are for {@linkcode parseEntry}. */
export const ENTRY_OPTIONS: readonly string[] = [
  "-o",
  "json",
  `--output-fields=${Object.keys(JournalEntry.shape).join(",")}`,
  "--all",
  "--no-pager",
];

/** Starts `journalctl` with these arguments besides {@linkcode ENTRY_OPTIONS}. */
export function spawnJournal(
  args: readonly string[],
  stderr: "inherit" | "null" = "inherit",
): Deno.ChildProcess {
  return new Deno.Command("journalctl", {
    args: [...ENTRY_OPTIONS, ...args],
    stdin: "null",
    stdout: "piped",
    stderr,
  }).spawn();
}

/** The entries that it shows. */
export async function* entriesOf(journal: Deno.ChildProcess): AsyncGenerator<JournalEntry> {
  for await (const line of readLines(journal.stdout)) yield parseEntry(line);
}

/** The entry of a line; one that is none counts as a message of nobody's. */
export function parseEntry(line: string): JournalEntry {
  try {
    return JournalEntry.parse(JSON.parse(line));
  } catch {
    return { MESSAGE: line };
  }
}
