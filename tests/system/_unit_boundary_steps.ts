import assert from "node:assert/strict";
import { INSTALLED } from "../../src/system/paths.ts";
import { prompt } from "../_realtime.ts";
import { tell } from "../_together.ts";
import type { Scene, Steps } from "./_scene.ts";

const AS_ROOT = { runAsRoot: true, rootScope: "task" };

/** What a program tells systemd in the agent's name, if it can: each has a consequence that lasts. */
const LIES = ["--status=lie", "WATCHDOG=trigger", "MAINPID=$$", "STOPPING=1"];
/** The way by which every service of the machine tells systemd how it is: anybody can find it out. */
const TELL = `export NOTIFY_SOCKET=/run/systemd/notify; for lie in "${
  LIES.join('" "')
}"; do systemd-notify "$lie"; done`;

/** Whether it is still the same process that does its work, and what systemd takes for its words. */
async function standing(scene: Scene): Promise<Record<string, string>> {
  const names = ["MainPID", "ActiveState", "SubState", "NRestarts", "StatusText"];
  const values = names.map(async (name) => [name, await scene.property(name)] as const);
  const { StatusText = "", ...rest } = Object.fromEntries(await Promise.all(values));
  return { ...rest, lies: String(StatusText.includes("lie")) };
}

/** What a task may do to the agent and to the machine. */
export const UNIT_BOUNDARY_STEPS: Steps = {
  "no task and no terminal speaks to systemd in the agent's name": async (scene) => {
    const { machine, controlPlane } = scene;
    const before = await standing(scene);
    const unheard: string[] = [];
    for (const runAsRoot of [false, true]) {
      const rights = runAsRoot ? AS_ROOT : {};
      const told = await scene.output(
        `echo "\${NOTIFY_SOCKET-none}"; ${TELL} && echo told`,
        rights,
      );
      assert.equal(told, "none\ntold");
      const terminal = controlPlane.realtime.openTerminal({ cols: 100, rows: 30, runAsRoot });
      await prompt(terminal);
      terminal.input(`${TELL} && echo to''ld; exit\n`);
      await terminal.waitFor((t) => t.ended);
      assert.match(terminal.text, /told\r\n/);
      // systemd reads what it is told before what it is asked.
      assert.deepEqual(await standing(scene), before);
      assert.equal(before.lies, "false");
      unheard.push(terminal.sessionId);
    }
    // It has heard, and did not believe: nobody may speak for the unit of a task.
    await machine.output("journalctl", "--sync");
    const journal = await machine.output("journalctl", "-b", "-o", "cat");
    const refused = journal.match(/noderax-(task|terminal)-\S+: Got notification .*/g) ?? [];
    tell(`${refused.length} words were refused, as: ${refused[0]}`);
    for (const id of unheard) assert.ok(refused.some((line) => line.includes(id)), journal);
    assert.ok(refused.some((line) => line.startsWith("noderax-task-")), journal);
  },

  "a task that reboots the machine ends, all that runs is reported, and the agent comes back":
    async (scene) => {
      const { machine, controlPlane } = scene;
      assert.equal(await scene.property("NoNewPrivileges"), "yes");
      const before = JSON.parse(await machine.output("cat", INSTALLED.config)).shutdown_timeout;
      await scene.configures("set", "shutdown_timeout", "10s");
      const commands = [
        ["systemctl reboot", "operational"],
        ["shutdown -r now; sleep 4000", "task"],
      ];
      for (const [command = "", rootScope] of commands) {
        const boot = await machine.output("cat", "/proc/sys/kernel/random/boot_id");
        const beside = scene.shell("trap 'echo asked to end; exit 7' TERM; sleep 4000 & wait");
        await controlPlane.waitForTask(beside, ["running"]);
        const terminal = controlPlane.realtime.openTerminal({
          ...{ cols: 100, rows: 30, runAsRoot: true },
        });
        await prompt(terminal);
        const from = performance.now();
        const reboots = scene.shell(command, { runAsRoot: true, rootScope });
        const { status, completion } = await scene.ended(reboots);
        const ended = await scene.ended(beside);
        const tookMs = Math.round(performance.now() - from);
        tell(
          `${command}: ${status} (${completion?.error ?? completion?.exitCode}), beside it ` +
            `${ended.status} (${ended.completion?.error}), both told after ${tookMs} ms`,
        );
        const isOver = command === "systemctl reboot";
        const end = isOver ? ["success", undefined] : ["failed", "agent is stopping"];
        assert.deepEqual([status, completion?.error], end);
        assert.deepEqual(
          [ended.status, ended.completion?.error],
          ["failed", "agent is stopping"],
        );
        assert.match(controlPlane.streamText(beside, "stdout"), /asked to end/);
        await terminal.waitFor((t) => t.ended);
        await machine.rebooted();
        assert.notEqual(await machine.output("cat", "/proc/sys/kernel/random/boot_id"), boot);
        await scene.well();
        assert.equal(await scene.output("echo again"), "again");
      }
      await scene.configures("set", "shutdown_timeout", before ?? "20s");
    },
};
