/** Where `--config FILE` stands in the arguments, how many of them it takes, and the file. */
export function configOptionAt(
  args: readonly string[],
): { at: number; length: number; file: string } | undefined {
  const end = args.indexOf("--");
  const at = args.findIndex((arg, index) =>
    (end < 0 || index < end) &&
    (arg.startsWith("--config=") || (arg === "--config" && index + 1 < args.length))
  );
  if (at < 0) return undefined;
  const [option = "", next = ""] = args.slice(at);
  return option === "--config"
    ? { at, length: 2, file: next }
    : { at, length: 1, file: option.slice("--config=".length) };
}

/** Whether the arguments (without the program's name) start the agent itself. */
export function isRun(args: readonly string[]): boolean {
  const { at = 0, length = 0 } = configOptionAt(args) ?? {};
  const [command = "run", ...others] = args.toSpliced(at, length);
  return command === "run" && others.length === 0;
}
