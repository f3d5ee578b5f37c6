/** What is kept of a foreign text that stands inside a line of ours, in UTF-16 units. */
const MAX_UNITS = 200;

/** Text of another machine, fit to be shown inside a line: short, and without control characters. */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").slice(0, MAX_UNITS).toWellFormed();
}
