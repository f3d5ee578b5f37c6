/** The names that a shell can give to variables. */
export const SETTABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A text as one word of a shell's. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Sets variables in a shell, as far as it can; some, such as bash's UID, may be read-only there. */
export function exportsOf(env: Record<string, string>): string {
  return Object.entries(env)
    .filter(([name]) => SETTABLE.test(name))
    .map(([name, value]) => `command export ${name}=${quoted(value)} 2>/dev/null`)
    .join("\n");
}
