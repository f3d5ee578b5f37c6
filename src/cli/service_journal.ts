import * as z from "@zod/zod";
import { readLines } from "./ask.ts";
import { prettyLine } from "../system/logger.ts";
import { jsonOf, visible } from "../system/text.ts";
import { SERVICE } from "../system/paths.ts";
import type { ServiceState } from "../system/systemd.ts";

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
  return JournalEntry.safeParse(jsonOf(line)).data ?? { MESSAGE: line };
}

const Event = z.looseObject({
  time: z.iso.datetime(),
  level: z.enum(["debug", "info", "warn", "error"]),
  msg: z.string(),
});

/** An event of the agent for a person, with its day and time first; no event as it is. */
export function formatEvent(line: string, color = false): string {
  const event = parse(line);
  if (!event) return visible(line);
  const { time, level, msg, ...fields } = event;
  return prettyLine(time, level, msg, fields, color);
}

/** What another process has written, with who it was: the command that journald saw, if it did. */
export function formatOther(entry: JournalEntry): string {
  const dropped = suppressedLines(entry);
  if (dropped !== undefined) return `journald: ${dropped}`;
  const { MESSAGE = "", SYSLOG_IDENTIFIER = "?", _COMM, _PID } = entry;
  const writer = visible(_COMM || SYSLOG_IDENTIFIER) + (_PID ? `[${_PID}]` : "");
  return `${writer}: ${visible(MESSAGE)}`;
}

/** What journald calls its own word on lines that it did not take. */
const DROPPED_ID = "a596d6fe7bfa4994828e72309e95d61e";

/** Says how many lines are missing here, where journald has left some out. */
export function suppressedLines(
  { MESSAGE_ID, N_DROPPED, _TRANSPORT }: JournalEntry,
): string | undefined {
  // Nobody else can write by this way.
  if (MESSAGE_ID !== DROPPED_ID || _TRANSPORT !== "driver") return undefined;
  return `${visible(N_DROPPED ?? "some")} lines are missing here: more came than the journal takes`;
}

/** Whether a line has the form of the agent's events; anybody may write one. */
export function isEvent(line: string): boolean {
  return parse(line) !== undefined;
}

function parse(line: string): z.output<typeof Event> | undefined {
  return Event.safeParse(jsonOf(line)).data;
}

/** The least of an earlier start of the service that is looked through for its main process. */
const FIRST_ENTRIES = 200;

/**
 * Tells the entries of the service's main process, which is the agent, from those of tasks, which
 * run in the same unit and may write whatever they like to the journal.
 *
 * Of the service as it runs, systemd knows the main process. Of an earlier start it is the process
 * that wrote the first event, since no task runs before that; where the journal has dropped the
 * beginning, nothing of that start passes for the agent's.
 */
export class MainProcesses {
  readonly #pids = new Map<string, Promise<string | undefined>>();

  /** `service` is what systemd says now. */
  constructor({ invocation, pid }: ServiceState) {
    if (invocation !== "" && pid !== 0) this.#pids.set(invocation, Promise.resolve(String(pid)));
  }

  /** An entry for a person; nobody else's passes for an event of the agent. */
  async describe(entry: JournalEntry, color = false): Promise<string> {
    const isOwn = await this.wroteEvent(entry);
    return isOwn ? formatEvent(entry.MESSAGE ?? "", color) : formatOther(entry);
  }

  /** Whether an entry is an event that the agent itself has written. */
  async wroteEvent(entry: JournalEntry): Promise<boolean> {
    const invocation = entry._SYSTEMD_INVOCATION_ID;
    if (!invocation || !mayBeEvent(entry)) return false;
    let pid = this.#pids.get(invocation);
    if (!pid) this.#pids.set(invocation, pid = findMainPid(invocation));
    return entry._PID === await pid;
  }
}

function mayBeEvent(entry: JournalEntry): boolean {
  const { MESSAGE = "", _SYSTEMD_UNIT: unit, _UID: uid, _TRANSPORT: transport } = entry;
  return unit === SERVICE && uid === "0" && transport === "stdout" && isEvent(MESSAGE);
}

async function findMainPid(invocation: string): Promise<string | undefined> {
  // What systemd itself says of the start stands before all that comes of it.
  const bySystemd = [`INVOCATION_ID=${invocation}`, "_PID=1"];
  const journal = spawnJournal([...bySystemd, "+", `_SYSTEMD_INVOCATION_ID=${invocation}`], "null");
  try {
    let looked = 0;
    for await (const entry of entriesOf(journal)) {
      if (looked++ === 0 && entry._PID !== "1") return undefined;
      if (mayBeEvent(entry)) return entry._PID;
      if (looked > FIRST_ENTRIES) return undefined;
    }
    return undefined;
  } finally {
    await end(journal);
  }
}

async function end(journal: Deno.ChildProcess): Promise<void> {
  try {
    journal.kill("SIGTERM");
  } catch {
    // It has ended by itself.
  }
  await journal.status;
}
