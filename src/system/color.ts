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
