import * as z from "@zod/zod";
import { prettyLine } from "../system/logger.ts";

const Event = z.looseObject({
  time: z.iso.datetime(),
  level: z.enum(["debug", "info", "warn", "error"]),
  msg: z.string(),
});

/**
 * A line of the service's log for a person: the agent's events with their day and time (UTC) first,
 * what others have written as it is.
 */
export function formatEvent(line: string, color = false): string {
  const event = parse(line);
  if (!event) return line;
  const { time, level, msg, ...fields } = event;
  return `${time.slice(0, 10)} ${prettyLine(time, level, msg, fields, color)}`;
}

/** Whether a line of the service's log is an event of the agent itself. */
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
