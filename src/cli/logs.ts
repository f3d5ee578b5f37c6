import { SERVICE } from "../system/paths.ts";
import { EXIT_USAGE, messageOf, UserError } from "../system/user_error.ts";
import { readLines } from "./lines.ts";
import { formatEvent, isEvent } from "./log_format.ts";
import { installedService } from "./service.ts";
import { writeAll } from "../system/write_all.ts";

/** What the command line says. */
export interface LogsOptions {
  /** Goes on until it is interrupted. */
  follow?: boolean;
  /** How many of the last lines, a whole number. */
  lines: string;
  /** The agent's own events as they are, and nothing else. */
  json?: boolean;
}

/** Shows the service's log; gives the exit code. */
export async function logs(
  { follow = false, lines, json = false }: LogsOptions,
): Promise<number> {
  if (!/^\d{1,9}$/.test(lines)) {
    const message = `--lines is "${lines}", but must be a whole number such as 20.`;
    throw new UserError(message, { exitCode: EXIT_USAGE });
  }
  await installedService();
  const args = ["-u", SERVICE, "-n", lines, "-o", "cat", "--no-pager", ...(follow ? ["-f"] : [])];
  await using journal = readJournal(args);
  const color = Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR");
  const encoder = new TextEncoder();
  try {
    for await (const line of readLines(journal.stdout)) {
      if (json && !isEvent(line)) continue;
      const bytes = encoder.encode(`${json ? line : formatEvent(line, color)}\n`);
      await writeAll(Deno.stdout, bytes);
    }
  } catch (error) {
    // The reader has seen enough.
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    throw new UserError(`The output could not be written: ${messageOf(error)}.`, { cause: error });
  }
  return (await journal.status).code;
}

function readJournal(args: string[]): Deno.ChildProcess {
  const options = { args, stdin: "null", stdout: "piped", stderr: "inherit" } as const;
  try {
    return new Deno.Command("journalctl", options).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UserError("There is no `journalctl` on this machine, so its log cannot be shown.");
  }
}
