import * as z from "@zod/zod";

/** What is kept of a foreign text that stands inside a line of ours, in UTF-16 units. */
const MAX_UNITS = 200;

/** Text of another machine, fit to be shown inside a line: short, and without control characters. */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").slice(0, MAX_UNITS).toWellFormed();
}

/**
 * Text from outside as one line that steers no terminal: control characters, and those that turn
 * the direction of writing, are shown as JSON writes them, so that JSON stays the same.
 */
export function visible(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** An id or a token: it travels in an HTTP header, so it is visible ASCII without spaces. */
export const HeaderText = z.string().regex(
  /^[!-~]+$/,
  "must be text of visible ASCII characters without spaces",
);

/** The value that a text holds as JSON; undefined if it holds none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A time for a person: to the second, in the reader's zone, which is named: `… 14:05:09 UTC`. */
export function localTime(at: Date | string): string {
  const time = new Date(at);
  const behindMin = time.getTimezoneOffset();
  const text = new Date(time.getTime() - behindMin * 60_000).toISOString();
  return `${text.slice(0, 19).replace("T", " ")} ${zone(-behindMin)}`;
}

function zone(aheadMin: number): string {
  if (aheadMin === 0) return "UTC";
  const [hours, minutes] = [Math.trunc(Math.abs(aheadMin) / 60), Math.abs(aheadMin) % 60];
  return `${aheadMin < 0 ? "-" : "+"}${two(hours)}${two(minutes)}`;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}

const CODES = { red: "31", yellow: "33", green: "32", dim: "2", bold: "1" } as const;

/** What a text may look like. */
export type Color = keyof typeof CODES;

/** The text in a colour, by ANSI codes, where `on`; else as it is. */
export function colored(text: string, color: Color, on: boolean): string {
  return on ? `\x1b[${CODES[color]}m${text}\x1b[0m` : text;
}

/** Whether standard output shows colours: a terminal, unless NO_COLOR is set. */
export function showsColors(): boolean {
  return Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
}
