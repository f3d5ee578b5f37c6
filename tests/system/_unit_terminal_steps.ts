import assert from "node:assert/strict";
import type { Terminal } from "../../scripts/dev/control_plane.ts";
import { INSTALLED, SERVICE } from "../../src/system/paths.ts";
import { numbers, prompt } from "../_realtime.ts";
import { tell } from "../_together.ts";
import type { Scene, Steps } from "./_scene.ts";

const UNITS = "noderax-terminal-*";

/** A shell on the machine, as its operator has it. */
async function openShell({ controlPlane }: Scene, runAsRoot = true): Promise<Terminal> {
  const terminal = controlPlane.realtime.openTerminal({ cols: 100, rows: 30, runAsRoot });
  await prompt(terminal);
  return terminal;
}

/** Waits until a terminal shows something; gives what is in its brackets. */
async function shows(terminal: Terminal, pattern: RegExp): Promise<string> {
  await terminal.waitForText(pattern);
  return pattern.exec(terminal.text)?.[1] ?? "";
}

/** What a shell finds that it could be used to. */
const LOOK = "env | grep -v '^AGENT_TASK_ID=' | sort; pwd; id; echo $- $SHLVL; umask; ulimit -a; " +
  "stty -a; ls -l /proc/$$/fd | sed -n 's/.*-> //p' | sed 's/[0-9]*$//'; : </dev/tty && ps -o stat= $$; " +
  "grep -E '^(SigBlk|SigCgt|Cap|NoNewPrivs|Groups)' /proc/self/status";

/** What shells of root and of the user find. */
async function looks(scene: Scene): Promise<string> {
  const file = "/var/tmp/found";
  const found: string[] = [];
  for (const runAsRoot of [true, false]) {
    const terminal = await openShell(scene, runAsRoot);
    terminal.input(`{ ${LOOK}; } >${file}; exit\n`);
    await terminal.waitFor((t) => t.ended);
    found.push(await scene.machine.output("cat", file));
    await scene.machine.output("rm", file);
  }
  return found.join("\n");
}

/** The units of terminals. */
function units({ machine }: Scene): Promise<string> {
  return machine.output("systemctl", "list-units", "--all", "--plain", "--no-legend", UNITS);
}

/** Waits until the agent is another process, and well. */
async function another(scene: Scene, pid: string): Promise<void> {
  await scene.until("another agent", async () => {
    const now = await scene.property("MainPID");
    return now !== "0" && now !== pid && await scene.property("ActiveState") === "active";
  });
  await scene.well();
}

/** What ends an agent that is started again. */
const ENDS: Record<string, string[]> = {
  "systemctl restart": ["systemctl", "restart", SERVICE],
  "noderax-agent restart": ["noderax-agent", "restart"],
  "kill -9": ["systemctl", "kill", "--kill-who=main", "--signal=KILL", SERVICE],
  "kill -TERM": ["systemctl", "kill", "--kill-who=main", "--signal=TERM", SERVICE],
};

/** Terminals that outlive the agent. */
export const UNIT_TERMINAL_STEPS: Steps = {
  "an install from inside of a task locks the service down, and ends neither": async (scene) => {
    await scene.machine.output("sed", "-i", "/^NoNewPrivileges=/d", INSTALLED.unit);
    await scene.machine.output("systemctl", "daemon-reload");
    await scene.machine.output("systemctl", "restart", SERVICE);
    await scene.well();
    assert.equal(await scene.property("NoNewPrivileges"), "no");
    const pid = await scene.property("MainPID");
    const rights = { runAsRoot: true, rootScope: "task" };
    assert.match(await scene.output("noderax-agent install && echo over", rights), /over$/);
    await another(scene, pid);
    assert.equal(await scene.property("NoNewPrivileges"), "yes");
  },

  "a terminal is a unit in the slice of the agent's work": async (scene) => {
    const terminal = await openShell(scene);
    const unit = `noderax-terminal-${terminal.sessionId}.service`;
    assert.match(await units(scene), new RegExp(`^${unit} loaded active running`));
    const slice = await scene.machine.output("systemctl", "show", "-P", "Slice", unit);
    assert.equal(slice, "noderax.slice");
    terminal.input("exit 3\n");
    await terminal.waitFor((t) => t.ended);
    assert.equal(terminal.exited?.exitCode, 3);
    await scene.until("no units of terminals", async () => await units(scene) === "");
  },

  "whatever ends the agent, a session goes on, and nothing of it is missing": async (scene) => {
    const terminal = await openShell(scene);
    const loop = await openShell(scene);
    loop.input("i=0; while [ ! -e /stop ]; do echo n$((i = i + 1)); done; echo o''ver\n");
    await loop.waitForText("n10\r\n");
    terminal.input("echo shell''=$$\n");
    const shell = await shows(terminal, /shell=(\d+)\r/);
    for (const [name, command] of Object.entries(ENDS)) {
      const pid = await scene.property("MainPID");
      await scene.machine.output(...command);
      await another(scene, pid);
      terminal.input(`echo '${name}': a''live=$$\n`);
      assert.equal(await shows(terminal, new RegExp(`${name}: alive=(\\d+)\\r`)), shell);
    }
    // Its operator may do it, and sees how it goes.
    terminal.input(`systemctl restart ${SERVICE}; echo r''c=$?\n`);
    assert.equal(await shows(terminal, /rc=(\d+)\r/), "0");
    await scene.well();
    await scene.machine.output("touch", "/stop");
    await loop.waitForText("over\r\n");
    const seen = numbers(loop);
    assert.deepEqual(seen, Array.from(seen, (_, at) => at + 1));
    loop.input("exit\n");
    await loop.waitFor((t) => t.ended);

    terminal.resize(133, 44);
    terminal.input("stty size; exit 37\n");
    await terminal.waitForText("44 133\r\n");
    await terminal.waitFor((t) => t.ended);
    assert.equal(terminal.exited?.exitCode, 37);
  },

  "a session that ends while there is no agent is told of with its code": async (scene) => {
    const terminal = await openShell(scene);
    terminal.input("until [ -e /go ]; do sleep 0.1; done; exit 41\n");
    await terminal.waitForText("exit 41\r\n");
    const pid = await scene.property("MainPID");
    // While it is stopped it sees nothing, and then it is killed.
    await scene.machine.output("kill", "-STOP", pid);
    await scene.machine.output("touch", "/go");
    await scene.until("the end of the shell", async () => (await units(scene)).includes("exited"));
    await scene.kill();
    await terminal.waitFor((t) => t.ended);
    assert.equal(terminal.exited?.exitCode, 41);
    await another(scene, pid);
    await scene.until("no units of terminals", async () => await units(scene) === "");
  },

  "what a shell prints while there is no agent waits for the next one": async (scene) => {
    const { machine, controlPlane } = scene;
    controlPlane.options.transcriptBytes = 1e9;
    const terminal = await openShell(scene);
    const pid = await scene.property("MainPID");
    terminal.input("until [ -e /go ]; do sleep 0.1; done; seq 1300000 | sed s/^/n/; exit 5\n");
    await terminal.waitForText("exit 5\r\n");
    await machine.output("rm", "-f", "/go");
    await machine.output("kill", "-STOP", pid);
    await machine.output("touch", "/go");
    // Whoever writes to a full terminal, or pipe, sleeps.
    await scene.until("ten megabytes that wait", async () => {
      return (await machine.run("ps", "-o", "state=", "-C", "seq,sed")).stdout === "S\nS\n";
    });
    await scene.kill();
    await terminal.waitFor((t) => t.ended);
    assert.equal(terminal.exited?.exitCode, 5);
    const seen = numbers(terminal);
    assert.equal(seen.length, 1_300_000);
    assert.ok(seen.every((number, at) => number === at + 1));
    await another(scene, pid);
  },

  "a terminal goes on under an agent that starts no units, and ends under one without sessions":
    async (scene) => {
      const terminal = await openShell(scene);
      terminal.input("echo shell''=$$\n");
      const shell = await shows(terminal, /shell=(\d+)\r/);
      const inUnits = await looks(scene);
      const change = async (key: string, value: string) => {
        await scene.tells("config", "set", key, value);
        // It makes the unit anew where it has to, and restarts the service then.
        await scene.tells("install");
        await scene.machine.output("systemctl", "restart", SERVICE);
        await scene.well();
      };
      await change("task_isolation", "child");
      terminal.input("echo a''live=$$\n");
      assert.equal(await shows(terminal, /alive=(\d+)\r/), shell);
      assert.equal(inUnits, await looks(scene));
      assert.match(inUnits, /^TERM=xterm-256color$/m);
      await change("realtime_enabled", "false");
      await scene.until("no units of terminals", async () => await units(scene) === "");
      assert.notEqual((await scene.machine.run("kill", "-0", shell)).code, 0);
      await scene.tells("config", "set", "task_isolation", "auto");
      await change("realtime_enabled", "true");
      await terminal.waitFor((t) => t.ended);
      assert.match(terminal.error ?? "", /the agent was restarted, and this terminal has ended/);
    },

  "a state folder of one's own is written by a service that is locked down": async (scene) => {
    const { machine } = scene;
    const folder = "/root/its own state";
    const file = INSTALLED.identity.slice(INSTALLED.stateFolder.length);
    await machine.output("mkdir", "-m", "0700", folder);
    await machine.output("cp", "-a", INSTALLED.identity, folder + file);
    const warned = await scene.agent("config", "set", "state_file", folder + file);
    assert.match(warned.stderr, /only where its unit says: run `sudo noderax-agent install`/);
    await scene.tells("install");
    await scene.well();
    assert.equal(await scene.output("echo over"), "over");
    assert.match(await machine.output("ls", folder), /^agent.lock\n[^]*\ntasks$/m);
    await scene.tells("config", "set", "state_file", INSTALLED.identity);
    await scene.tells("install");
    await machine.output("rm", "-r", folder);
    await scene.well();
  },

  "a stop of the service ends terminals, and nothing of them is left": async (scene) => {
    const terminal = await openShell(scene);
    await scene.machine.output("systemctl", "stop", SERVICE);
    await terminal.waitFor((t) => t.ended);
    await scene.until("no units of terminals", async () => await units(scene) === "");
    const folder = `${INSTALLED.runtimeFolder}/terminals`;
    assert.equal(await scene.machine.output("ls", folder), "");
    await scene.machine.output("systemctl", "start", SERVICE);
    await scene.well();
  },

  "the service is locked down, and nothing of that binds what it is for": async (scene) => {
    const { machine, controlPlane } = scene;
    const exposure = await machine.output("systemd-analyze", "security", "--no-pager", SERVICE);
    const [, level] = /exposure level for .*: ([0-9.]+)/.exec(exposure) ?? [];
    assert.ok(Number(level) <= 2.5, exposure);
    const counts = exposure.split("\n").filter((line) => /\s0\.\d$/.test(line.trimEnd()));
    tell(
      `\n# systemd-analyze security ${SERVICE}     (what counts)\n${counts.join("\n")}\n` +
        exposure.split("\n").at(-1),
    );
    const pid = await scene.property("MainPID");
    const LOOK = "grep -E '^(NoNewPrivs|CapBnd|Seccomp):' /proc/self/status | tr -d '\\t'";
    assert.match(
      await machine.output("sh", "-c", LOOK.replace("self", pid)),
      /CapBnd:0{15}1\nNoNewPrivs:1\nSeccomp:2/,
    );
    // The machine is a container: nobody in it may more than its PID 1.
    const all = await machine.output("sh", "-c", LOOK.replace("self", "1"));
    assert.match(all, /NoNewPrivs:0/);
    for (const runAsRoot of [false, true]) {
      const rights = runAsRoot ? { runAsRoot, rootScope: "task" } : {};
      assert.equal((await scene.output(LOOK, rights)).trimEnd(), all);
      const terminal = await openShell(scene, runAsRoot);
      terminal.input(`${LOOK}; touch /var/tmp/by-$(id -un); exit\n`);
      await terminal.waitForText(all.replaceAll("\n", "\r\n"));
      await terminal.waitFor((t) => t.ended);
      assert.equal(terminal.exited?.exitCode, 0);
    }
    await machine.output(
      "sh",
      "-c",
      "umask 027; echo one >/var/log/syslog; chown 65534:adm /var/log/syslog",
    );
    const scan = async (payload: Record<string, unknown>) => {
      const request = { mode: "preview", sourcePresetId: "syslog", ...payload };
      const queued = controlPlane.queueTask({ type: "log.scan", payload: request });
      return (await scene.ended(queued)).completion;
    };
    assert.match((await scan({}))?.error ?? "", /syslog cannot be read: Permission denied/);
    const asRoot = await scan({ runAsRoot: true, rootScope: "operational" });
    assert.equal(asRoot?.error, undefined);
    assert.match(JSON.stringify(asRoot?.result), /"message":"one"/);
    const journal = await scan({
      sourcePresetId: SERVICE.replace(".service", ""),
      runAsRoot: true,
      rootScope: "operational",
    });
    assert.match(JSON.stringify(journal?.result), /agent started/);
  },

  "where systemd starts no unit, tasks and terminals fail: the sandbox is no place for them":
    async (
      scene,
    ) => {
      await scene.machine.output("systemctl", "stop", "noderax.slice");
      await scene.machine.output("systemctl", "mask", "--runtime", "noderax.slice");
      const { status, completion } = await scene.ended(scene.shell("echo never"));
      assert.equal(status, "failed");
      assert.match(completion?.error ?? "", /systemd does not start its unit: .*masked/);
      const { realtime } = scene.controlPlane;
      const terminal = realtime.openTerminal({ cols: 100, rows: 30, runAsRoot: true });
      await terminal.waitFor((t) => t.ended);
      assert.match(terminal.error ?? "", /no unit of its own .*masked.* sandbox .* bind it/);
      await scene.machine.output("systemctl", "unmask", "--runtime", "noderax.slice");
      assert.equal(await scene.output("echo again"), "again");
    },
};
