import { SERVICE } from "../system/paths.ts";
import type { ServiceState } from "../system/systemd.ts";
import { entriesOf, type JournalEntry, spawnJournal } from "./journal_entry.ts";
import { formatEvent, formatOther, isEvent } from "./log_format.ts";

/** The least of an earlier start of the service that is looked through for its main process. */
const FIRST_ENTRIES = 200;

/**
 * Tells the entries of the service's main process, which is the agent, from those of tasks, which
 * run in the same unit and may write whatever they like to the journal.
 *
 * Of the service as it runs, systemd knows the main process. Of an earlier start it is the process
 * that wrote the first event, since no task runs before that; where the journal has dropped the
 * beginning, nothing of that start passes for the agent's.
 */
export class MainProcesses {
  readonly #pids = new Map<string, Promise<string | undefined>>();

  /** `service` is what systemd says now. */
  constructor({ invocation, pid }: ServiceState) {
    if (invocation !== "" && pid !== 0) this.#pids.set(invocation, Promise.resolve(String(pid)));
  }

  /** An entry for a person; nobody else's passes for an event of the agent. */
  async describe(entry: JournalEntry, color = false): Promise<string> {
    const isOwn = await this.wroteEvent(entry);
    return isOwn ? formatEvent(entry.MESSAGE ?? "", color) : formatOther(entry);
  }

  /** Whether an entry is an event that the agent itself has written. */
  async wroteEvent(entry: JournalEntry): Promise<boolean> {
    const invocation = entry._SYSTEMD_INVOCATION_ID;
    if (!invocation || !mayBeEvent(entry)) return false;
    let pid = this.#pids.get(invocation);
    if (!pid) this.#pids.set(invocation, pid = findMainPid(invocation));
    return entry._PID === await pid;
  }
}

function mayBeEvent(entry: JournalEntry): boolean {
  const { MESSAGE = "", _SYSTEMD_UNIT: unit, _UID: uid, _TRANSPORT: transport } = entry;
  return unit === SERVICE && uid === "0" && transport === "stdout" && isEvent(MESSAGE);
}

async function findMainPid(invocation: string): Promise<string | undefined> {
  // What systemd itself says of the start stands before all that comes of it.
  const bySystemd = [`INVOCATION_ID=${invocation}`, "_PID=1"];
  const journal = spawnJournal([...bySystemd, "+", `_SYSTEMD_INVOCATION_ID=${invocation}`], "null");
  try {
    let looked = 0;
    for await (const entry of entriesOf(journal)) {
      if (looked++ === 0 && entry._PID !== "1") return undefined;
      if (mayBeEvent(entry)) return entry._PID;
      if (looked > FIRST_ENTRIES) return undefined;
    }
    return undefined;
  } finally {
    await end(journal);
  }
}

async function end(journal: Deno.ChildProcess): Promise<void> {
  try {
    journal.kill("SIGTERM");
  } catch {
    // It has ended by itself.
  }
  await journal.status;
}
