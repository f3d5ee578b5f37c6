import assert from "node:assert/strict";
import { join } from "@std/path";
import { Pty } from "../src/terminal/pty.ts";
import { AgentProcess, Fleet } from "./_agent.ts";
import { FETCHED } from "./_command.ts";
import { examineWith } from "./_doctor.ts";
import { textOf } from "./_processes.ts";
import { exited, leavesWell, realtimeFleet } from "./_realtime.ts";
import { privileged, SecondUser, sh } from "./_second_user.ts";
import { outputOf } from "./_shell.ts";

/** A terminal as root sits at it, whose session is the agent's that is started there. */
class RootsTerminal implements Disposable {
  readonly #pty: Pty;
  /** Starts a program on it, as a shell would that root has typed into. */
  readonly through: string[];

  private constructor(pty: Pty) {
    this.#pty = pty;
    this.through = ["setsid", "/bin/sh", "-c", ': <>"$0"; exec "$@"', pty.path];
  }

  static async open(): Promise<RootsTerminal> {
    return new RootsTerminal(await Pty.open({ cols: 80, rows: 24 }, () => {}));
  }

  /** Its name in `ps`. */
  get name(): string {
    return this.#pty.path.replace("/dev/", "");
  }

  [Symbol.dispose](): void {
    this.#pty[Symbol.dispose]();
  }
}

/** What another user's code writes down of itself: its session's terminal, and whether it opens. */
const LOOK = (file: string) =>
  `ps -o tty= -p $$ >>${file}; (: </dev/tty) 2>/dev/null && ps -o tty= -p $$ >>${file}.open`;

/** That code has run, and never in root's session. */
async function assertApart(file: string, terminal: RootsTerminal): Promise<void> {
  const seen = (await textOf(file)).split("\n").map((line) => line.trim()).filter(Boolean);
  assert(seen.length > 0, "the code has run");
  assert(!seen.includes(terminal.name), `it ran on root's ${terminal.name}: ${seen}`);
  assert(!(await textOf(`${file}.open`)).includes(terminal.name), "it opened root's terminal");
}

privileged(
  "doctor runs a user's profile apart from the terminal that it was called on",
  async () => {
    await using user = await SecondUser.make();
    using terminal = await RootsTerminal.open();
    const file = join(user.home, "seen");
    await Deno.writeTextFile(join(user.home, ".profile"), LOOK(file));
    await using fleet = await Fleet.start();
    await Deno.mkdir(fleet.stateFolder, { mode: 0o700 });
    const { through } = terminal;
    const report = await examineWith(fleet, { run_as_user: user.name }, { through });
    assert.equal(report.of("shell"), `ok: /bin/sh -lc runs tasks as ${user.name}`);
    await assertApart(file, terminal);
  },
);

privileged("however a terminal is opened, its shell is not in the agent's session", async () => {
  await using user = await SecondUser.make();
  using terminal = await RootsTerminal.open();
  const file = join(user.home, "seen");
  const shell = join(user.home, "shell");
  // The user's shell kills what would put it on a terminal in all ways but the last.
  const script = `#!/bin/bash
    tr '\\0' ' ' <"/proc/$PPID/cmdline" |
      grep -qE 'cannot control a session|exec >/dev/null 2>&1' && kill -KILL $PPID
    [ "$1" != -c ] || exit 0
    ${LOOK(file)}
    echo looked
    exec /bin/sh`;
  await Deno.writeTextFile(shell, script, { mode: 0o755 });
  await sh('usermod -s "$1" "$2"', shell, user.name);
  await using fleet = await realtimeFleet({ run_as_user: user.name });
  const { through } = terminal;
  const env = { HOME: fleet.folder, ...FETCHED };
  await using agent = new AgentProcess(fleet.configFile, { env, through });
  await agent.waitForLog("realtime session is up");
  const opened = fleet.controlPlane.realtime.openTerminal({ cols: 80, rows: 24 });
  await opened.waitForText(/looked\r\n/);
  const { mode } = await agent.waitForLog("terminal opened with less");
  assert.equal(mode, "pty-minimal");
  await assertApart(file, terminal);
  opened.input("exit\r");
  await exited(opened);
  await leavesWell(fleet, agent);
});

const HAS_COMPILER = await sh("command -v cc || true") !== "";
const PRELOADED = "what a task preloads never runs in the agent's session";

if (!HAS_COMPILER) Deno.test.ignore(`${PRELOADED} (ignored: there is no C compiler)`, () => {});
else {privileged(PRELOADED, async () => {
    await using user = await SecondUser.make();
    using terminal = await RootsTerminal.open();
    const file = join(user.home, "seen");
    const source = `
    #include <fcntl.h>
    #include <stdio.h>
    #include <unistd.h>
    __attribute__((constructor)) static void look(void) {
      FILE *file = fopen("${file}", "a");
      if (!file) return;
      int tty = open("/dev/tty", O_RDWR);
      fprintf(file, "%s %d\\n", tty < 0 ? "apart" : "controlled", (int) getsid(0));
      fclose(file);
      if (tty >= 0) close(tty);
    }`;
    const library = join(user.home, "look.so");
    await Deno.writeTextFile(`${library}.c`, source);
    await sh('cc -shared -fPIC -o "$1" "$1.c"', library);
    await using fleet = await Fleet.start({ run_as_user: user.name });
    const { through } = terminal;
    const env = { HOME: fleet.folder, ...FETCHED };
    await using agent = new AgentProcess(fleet.configFile, { env, through });
    await agent.waitForLog("agent started");
    assert.equal(await sh('ps -o tty= -p "$1"', `${agent.pid}`), terminal.name);
    const environment = { LD_PRELOAD: library };
    await outputOf(fleet, "true", { working_dir: "/tmp", shell: "/bin/bash", environment });
    const seen = (await textOf(file)).trim().split("\n");
    assert(seen.length >= 3, `the code has run: ${seen}`);
    assert.deepEqual(seen.filter((line) => !line.startsWith("apart ")), []);
    assert(!seen.includes(`apart ${agent.pid}`));
    assert.equal(new Set(seen).size, 1, `all of it is the task's: ${seen}`);
  });}
