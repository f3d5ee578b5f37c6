/**
 * The positive numbers of a command line, such as minutes and a seed; with any other word the program
 * leaves with exit code 2.
 */
export function amounts(usage: string, args: readonly string[]): number[] {
  const wrong = args.find((arg) => !(Number(arg) > 0 && Number.isFinite(Number(arg))));
  if (wrong === undefined) return args.map(Number);
  const sentence = `${JSON.stringify(wrong)} is no positive number: use "${usage}"\n`;
  Deno.stderr.writeSync(new TextEncoder().encode(sentence));
  Deno.exit(2);
}
