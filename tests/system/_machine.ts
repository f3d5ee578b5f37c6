import * as z from "@zod/zod";
import { readLines } from "../../src/cli/ask.ts";
import { messageOf } from "../../src/system/user_error.ts";
import { eventually } from "../_processes.ts";
import { CannotBoot } from "./_rootfs.ts";

const KEEPER = new URL("_keeper.sh", import.meta.url).pathname;
const ENVIRONMENT = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  LANG: "C.UTF-8",
  SYSTEMD_PAGER: "cat",
  SYSTEMD_COLORS: "0",
};

/** How a program inside has ended, and what it has written. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** What a program inside is given. */
export interface RunOptions {
  /** Beside a short standard environment. */
  env?: Record<string, string>;
  /** Its standard input; "null" by default. */
  stdin?: "null" | "piped";
}

const journalEntry = z.object({
  MESSAGE: z.string(),
  SYSLOG_IDENTIFIER: z.string().optional(),
  _PID: z.string().optional(),
  __MONOTONIC_TIMESTAMP: z.coerce.number(),
}).transform((entry) => ({
  message: entry.MESSAGE,
  /** Who has written it: `systemd`, `noderax-agent`, … */
  from: entry.SYSLOG_IDENTIFIER,
  pid: Number(entry._PID),
  /** On the clock that is never set. */
  atMs: entry.__MONOTONIC_TIMESTAMP / 1000,
}));

/** A line of the journal. */
export type JournalEntry = z.infer<typeof journalEntry>;

/**
 * A machine with systemd as its PID 1, booted in a container. It shares this machine's loopback
 * network; what is written inside is gone with it.
 */
export class Machine implements AsyncDisposable {
  readonly #keeper: Deno.ChildProcess;
  readonly #asking: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: AsyncGenerator<string, void>;
  readonly #problems: Promise<string>;
  #leader: string;

  private constructor(
    keeper: Deno.ChildProcess,
    answers: AsyncGenerator<string, void>,
    leader: string,
    problems: Promise<string>,
  ) {
    this.#keeper = keeper;
    this.#asking = keeper.stdin.getWriter();
    this.#answers = answers;
    this.#leader = leader;
    this.#problems = problems;
  }

  /**
   * Boots the system in `rootFolder`, which stays as it is, with folders of this machine to read
   * (outside → inside). Throws {@linkcode CannotBoot} where that is refused.
   */
  static async boot(rootFolder: string, shown: Record<string, string> = {}): Promise<Machine> {
    const name = `noderax-test-${crypto.randomUUID().slice(0, 8)}`;
    const binds = Object.entries(shown).map(([from, to]) => `--bind-ro=${from}:${to}`);
    const keeper = new Deno.Command("/bin/sh", {
      args: [KEEPER, name, rootFolder, ...binds],
      // Ctrl-C is for the test alone: the keeper notices its end and cleans up.
      detached: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const problems = new Response(keeper.stderr).text();
    const lines = readLines(keeper.stdout);
    const { value: leader } = await lines.next();
    if (!leader) {
      await keeper.stdin.close();
      await keeper.status;
      const lastLine = (await problems).trimEnd().split("\n").at(-1);
      throw new CannotBoot(`systemd-nspawn does not start: ${lastLine}`);
    }
    const machine = new Machine(keeper, lines, leader, problems);
    try {
      await machine.#booted();
      return machine;
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw new CannotBoot(`systemd does not come up in a container: ${messageOf(error)}`);
    }
  }

  /** Runs a program inside, as root, to its end. */
  async run(...argv: string[]): Promise<Ran> {
    const child = this.spawn(argv);
    const [{ code }, stdout, stderr] = await Promise.all([
      child.status,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code, stdout, stderr };
  }

  /** The standard output of a program inside that must succeed, without its last line's end. */
  async output(...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...argv);
    if (code !== 0) throw new Error(`${argv.join(" ")}: exit code ${code}\n${stdout}${stderr}`);
    return stdout.trimEnd();
  }

  /** Starts a program inside, as root; all that it writes must be read. */
  spawn(argv: string[], { env = {}, stdin = "null" }: RunOptions = {}): Deno.ChildProcess {
    const variables = Object.entries({ ...ENVIRONMENT, ...env }).map((pair) => pair.join("="));
    return new Deno.Command("nsenter", {
      args: ["-t", this.#leader, "-a", "env", "-i", ...variables, ...argv],
      stdin,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /** All that a unit has said so far, and what systemd has said of it. */
  async journal(unit: string): Promise<JournalEntry[]> {
    await this.run("journalctl", "--sync");
    const lines = await this.output("journalctl", "--unit", unit, "--all", "--output=json");
    return lines.split("\n").filter((line) => line !== "").map((line) =>
      journalEntry.parse(JSON.parse(line))
    );
  }

  /** Waits until it has booted anew. */
  async rebooted(): Promise<void> {
    await eventually("another PID 1", async () => {
      await this.#asking.write(new TextEncoder().encode("\n"));
      const { value: leader } = await this.#answers.next();
      if (!leader || leader === this.#leader) return false;
      this.#leader = leader;
      return true;
    });
    await this.#booted();
  }

  /** Powers it off; resolves when nothing of it is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#asking.close();
    await this.#answers.return();
    const { code } = await this.#keeper.status;
    const problems = await this.#problems;
    if (code !== 0) throw new Error(`the machine was not taken down well: ${problems}`);
  }

  async #booted(): Promise<void> {
    await eventually("the machine to be up", async () => {
      const { stdout } = await this.run("systemctl", "is-system-running");
      return /^(running|degraded)$/m.test(stdout);
    });
    // Where limits have hierarchies of their own these are given to systemd: they become real.
    const remount = "for group in pids memory cpu cpuacct devices; do " +
      'cd "/sys/fs/cgroup/$group" 2>/dev/null && mount -o remount,rw,bind .; done; ' +
      "exec systemctl daemon-reexec";
    await this.output("sh", "-c", remount);
  }
}
