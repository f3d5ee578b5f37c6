import * as z from "@zod/zod";
import { prettyLine } from "../system/logger.ts";
import { visible } from "../system/visible.ts";
import type { JournalEntry } from "./journal_entry.ts";

const Event = z.looseObject({
  time: z.iso.datetime(),
  level: z.enum(["debug", "info", "warn", "error"]),
  msg: z.string(),
});

/** An event of the agent for a person, with its day and time (UTC) first; no event as it is. */
export function formatEvent(line: string, color = false): string {
  const event = parse(line);
  if (!event) return visible(line);
  const { time, level, msg, ...fields } = event;
  return `${time.slice(0, 10)} ${prettyLine(time, level, msg, fields, color)}`;
}

/** What another process has written, with who it was. */
export function formatOther({ MESSAGE = "", SYSLOG_IDENTIFIER = "?", _PID }: JournalEntry): string {
  const writer = visible(SYSLOG_IDENTIFIER) + (_PID ? `[${_PID}]` : "");
  return `${writer}: ${visible(MESSAGE)}`;
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
