import { lookUpAccounts } from "../privileges/accounts.ts";
import { showsColors, visible } from "../system/text.ts";
import { SERVICE } from "../system/paths.ts";
import { EXIT_USAGE, messageOf, UserError } from "../system/user_error.ts";
import { entriesOf, MainProcesses, spawnJournal, suppressedLines } from "./service_journal.ts";
import { complain, PROGRAM } from "./output.ts";
import { installedService } from "./service_commands.ts";
import { writeAll } from "../system/atomic_file.ts";

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
  const mains = new MainProcesses(await installedService());
  const args = ["-u", SERVICE, "-n", lines, ...(follow ? ["-f"] : [])];
  await using journal = openJournal(args);
  const color = showsColors();
  const encoder = new TextEncoder();
  let count = 0;
  try {
    for await (const entry of entriesOf(journal)) {
      count++;
      const missing = json ? suppressedLines(entry) : undefined;
      if (missing !== undefined) complain(missing);
      if (json && !await mains.wroteEvent(entry)) continue;
      const shown = json ? visible(entry.MESSAGE ?? "") : await mains.describe(entry, color);
      await writeAll(Deno.stdout, encoder.encode(`${shown}\n`));
    }
  } catch (error) {
    // The reader has seen enough.
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    throw new UserError(`The output could not be written: ${messageOf(error)}.`, { cause: error });
  }
  const { code } = await journal.status;
  if ((code !== 0 || count === 0) && (await lookUpAccounts()).uid !== 0) {
    complain(
      `this user may not read the service's log: run \`sudo ${PROGRAM} logs\`, or have an ` +
        "administrator add the user to the group systemd-journal.",
    );
  }
  return code;
}

function openJournal(args: string[]): Deno.ChildProcess {
  try {
    return spawnJournal(args);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UserError("There is no `journalctl` on this machine, so its log cannot be shown.");
  }
}
