import * as z from "@zod/zod";
import { prettyLine } from "../system/logger.ts";
import { visible } from "../system/visible.ts";
import type { JournalEntry } from "./journal_entry.ts";

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
  try {
    return Event.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
