import assert from "node:assert/strict";
import { INSTALLED, SERVICE } from "../../src/system/paths.ts";
import { tell } from "../_together.ts";
import type { JournalEntry } from "./_machine.ts";
import type { Scene, Steps } from "./_scene.ts";

/** What happens to an agent that runs as a service. */
export const SERVICE_STEPS: Steps = {
  "`config set` keeps the rest of the file and ends no work: it reloads": async (scene) => {
    const before = await scene.property("MainPID");
    await scene.configures("set", "shutdown_timeout", "3s");
    await scene.configures("set", "log_level", "debug");
    assert.equal(await scene.property("MainPID"), before);
    await scene.well();
    const config = JSON.parse(await scene.machine.output("cat", INSTALLED.config));
    assert.equal(config.log_level, "debug");
    assert.equal(config.shutdown_timeout, "3s");
    assert.equal(config.api_url, scene.controlPlane.url);
    const shown = await scene.tells("config", "show");
    assert.match(shown, /log_level\s.*debug/);
    assert.ok(!shown.includes(scene.node.agentToken), "`config show` shows the agent's token");
  },

  "`systemctl reload` reads the configuration again": async (scene) => {
    const pid = await scene.property("MainPID");
    await scene.machine.output("sed", "-i", 's/"debug"/"info"/', INSTALLED.config);
    await scene.reloaded(() => scene.machine.output("systemctl", "reload", SERVICE));
    assert.equal(await scene.property("MainPID"), pid);
  },

  "with `task_isolation` child, and its unit made anew, tasks are the agent's children": async (
    scene,
  ) => {
    const warned = await scene.agent("config", "set", "task_isolation", "child", "--restart");
    assert.match(warned.stderr, /inherit what its unit says: run `sudo noderax-agent install`/);
    const isBound = /degraded: the sandbox of the service binds tasks and terminals/;
    const bound = await scene.says(({ stdout }) => isBound.test(stdout), "status");
    tell(
      `\n# noderax-agent status     (children of a service that is locked down)\n${bound.stdout}`,
    );
    await scene.tells("install");
    await scene.well();
    assert.equal(await scene.property("NoNewPrivileges"), "no");
    assert.match(await scene.output("cat /proc/self/cgroup"), new RegExp(SERVICE));
    const isChild = /tasks as its children \(task_isolation/;
    await scene.says(({ stdout }) => isChild.test(stdout), "doctor");
  },

  "a restart under a child: the task is reported, and nothing of it is left": async (
    scene,
  ) => {
    await scene.configures("set", "shutdown_timeout", "5s");
    const isStopping = `[ "$(systemctl show --value -p ActiveState ${SERVICE})" = deactivating ]`;
    const quick = scene.shell(`until ${isStopping}; do sleep 0.1; done; echo to the end`);
    const task = await scene.endlessTask();
    await scene.controlPlane.waitForTask(quick, ["running"]);
    await scene.machine.output("systemctl", "restart", SERVICE);
    const { status, completion } = await scene.ended(task.taskId);
    assert.deepEqual([status, completion?.error], ["failed", "agent is stopping"]);
    assert.equal((await scene.ended(quick)).status, "success");
    assert.equal(await task.living(), 0);
    await scene.configures("set", "shutdown_timeout", "3s");
    await scene.well();
  },

  "kill -9 under a child: the agent comes back and reports it, and nothing is left": async (
    scene,
  ) => {
    const task = await scene.endlessTask();
    const restarts = Number(await scene.property("NRestarts"));
    await scene.machine.output("systemctl", "kill", "--kill-who=main", "--signal=KILL", SERVICE);
    const { status, completion } = await scene.ended(task.taskId);
    assert.equal(status, "failed");
    assert.match(completion?.error ?? "", /restarted/);
    assert.equal(await task.living(), 0);
    assert.equal(Number(await scene.property("NRestarts")), restarts + 1);
    await scene.well();
  },

  "what children write to the journal passes for nothing of the agent's": (scene) =>
    passesForNothing(scene, { isShown: true }),

  "by default tasks are in units, and the service is locked down": async (scene) => {
    await scene.tells("config", "unset", "task_isolation", "--no-restart");
    await scene.tells("install");
    await scene.well();
    assert.equal(await scene.property("NoNewPrivileges"), "yes");
    assert.match(await scene.output("cat /proc/self/cgroup"), /noderax\.slice\/noderax-task-/);
  },

  "an agent that does not answer its watchdog is started again": async (scene) => {
    const folder = `/run/systemd/system/${SERVICE}.d`;
    const settings = "[Service]\\nWatchdogSec=5s\\n";
    await scene.machine.output(
      "sh",
      "-c",
      `mkdir -p ${folder} && printf '${settings}' >${folder}/watchdog.conf && ` +
        `systemctl daemon-reload && systemctl restart ${SERVICE}`,
    );
    await scene.well();
    const pid = await scene.property("MainPID");
    await scene.machine.output("kill", "-STOP", pid);
    await scene.until("systemd to notice", async () => {
      return (await scene.journal()).some(({ message }) => message.includes("Watchdog timeout"));
    });
    await scene.another(pid);
    await scene.well();
    await scene.machine.output("rm", "-r", folder);
    await scene.machine.output("systemctl", "daemon-reload");
    await scene.machine.output("systemctl", "restart", SERVICE);
    await scene.well();
  },

  "`stop` ends it with all that its tasks have started, and status says so": async (scene) => {
    const task = await scene.endlessTask();
    await scene.tells("stop");
    assert.equal(await scene.property("ActiveState"), "inactive");
    assert.equal(await scene.property("Result"), "success");
    assert.equal(await task.living(), 0);
    assert.equal((await scene.ended(task.taskId)).status, "failed");
    const { code, stdout, stderr } = await scene.agent("status");
    tell(`\n# noderax-agent status     (stopped)\n${stdout}${stderr}`);
    assert.equal(code, 1);
    assert.match(stdout, /inactive|stopped|not running/i);
    assert.equal((await scene.agent("status", "--check")).code, 1);
  },

  "doctor says how to fix a machine that is out of order": async (scene) => {
    const { machine } = scene;
    await machine.output("cp", "-p", INSTALLED.config, "/root/config.json");
    await machine.output("chmod", "644", INSTALLED.config);
    await machine.output("sed", "-i", "s#127.0.0.1:[0-9]*#nowhere.invalid#", INSTALLED.config);
    const { code, stdout, stderr } = await scene.agent("doctor");
    tell(`\n# noderax-agent doctor     (out of order)\n${stdout}${stderr}`);
    assert.equal(code, 1);
    assert.match(stdout, /chmod/);
    assert.match(stdout, /nowhere\.invalid/);
    await machine.output("mv", "/root/config.json", INSTALLED.config);
  },

  "`start` brings it back": async (scene) => {
    await scene.tells("start");
    await scene.well();
    assert.equal(await scene.output("echo hello"), "hello");
  },

  "every death in a row is followed by a longer pause": async (scene) => {
    await scene.machine.output("systemctl", "restart", SERVICE);
    await scene.well();
    const from = (await scene.journal()).length;
    const tookMs: number[] = [];
    for (let death = 0; death < 3; death++) {
      const pid = await scene.property("MainPID");
      const killedMs = performance.now();
      await scene.machine.output("kill", "-KILL", pid);
      await scene.until("another agent", async () => {
        const starts = startsIn((await scene.journal()).slice(from));
        return starts.length > death;
      });
      tookMs.push(performance.now() - killedMs);
    }
    const seconds = tookMs.map((ms) => (ms / 1_000).toFixed(1)).join(", ");
    tell(`killed three times in a row: started again after ${seconds} s`);
    // A second of systemd's and 1, 3, 7 of the unit's; how long a start takes is no part of them.
    assert.ok(tookMs.every((ms, i) => ms >= 2 ** (i + 1) * 1_000), `the pauses: ${seconds} s`);
    assert.equal(await scene.machine.output("cat", `${INSTALLED.runtimeFolder}/pause`), "15");
    await scene.well();
  },

  "its journal is JSON, without stack traces and secrets": async (scene) => {
    const entries = await scene.journal();
    const lines = entries.filter(({ from }) => from !== "systemd").map(({ message }) => message);
    assert.ok(lines.length > 20, "there is little in the journal");
    for (const line of lines) {
      const { time, level, msg } = JSON.parse(line);
      assert.match(level, /^(debug|info|warn|error)$/, line);
      assert.ok(time && msg, line);
    }
    const everything = await scene.machine.output("journalctl", "--output=cat");
    assert.doesNotMatch(everything, /^\s+at \S+.*:\d+:\d+/m);
    for (const secret of scene.secrets()) {
      assert.ok(!everything.includes(secret), "there is a secret in the journal");
    }
  },

  "what tasks in units write to the journal passes for nothing of the agent's": (scene) =>
    passesForNothing(scene, { isShown: false }),
};

/** Has tasks forge events of the agent's, which `logs` shows as what they are if they are children. */
async function passesForNothing(scene: Scene, { isShown }: { isShown: boolean }): Promise<void> {
  const mark = `forged-${crypto.randomUUID()}`;
  const event = JSON.stringify({ time: new Date().toISOString(), level: "info", msg: mark });
  // Whose a line is the journal finds out when it takes it: whoever wrote it has to be there still.
  const taken = "/var/tmp/taken";
  const command =
    `event='${event}' && export event && echo "$event" | logger && systemd-cat sh -c ` +
    `'echo "$event"; until [ -e ${taken} ]; do sleep 0.1; done'`;
  const written = 'journalctl --sync; journalctl -b -o cat | grep -cF -e "$0" || true';
  for (const [at, payload] of [{}, { runAsRoot: true, rootScope: "task" }].entries()) {
    const ended = scene.output(command, payload);
    // Of the units of tasks the journal takes warnings alone.
    const lines = isShown ? 2 * (at + 1) : 0;
    await scene.until("both lines in the journal", async () => {
      return Number(await scene.machine.output("sh", "-c", written, mark)) >= lines;
    });
    await scene.machine.output("touch", taken);
    await ended;
    await scene.machine.output("rm", taken);
  }
  const count = (text: string, part: string) => text.split(part).length - 1;
  const started = '"msg":"agent started"';
  // As the service that runs, and as one that ran before.
  for (const more of [0, 1]) {
    const starts = startsIn(await scene.journal());
    const [json, plain] = [
      await scene.tells("logs", "--json", "-n", "100000"),
      await scene.tells("logs", "-n", "100000"),
    ];
    assert.equal(count(json, mark), 0, "a task's line passes for the agent's");
    const own = count(json, started);
    assert.ok(json.includes(starts.at(-1)?.message ?? "none"), "the running agent is missing");
    // Of a start that the journal has taken before systemd's word on it nobody knows the agent.
    assert.ok(own > 1 && own <= starts.length, `${own} of ${starts.length} starts`);
    assert.equal(count(plain, `]: ${event}`) > 0, isShown, "a task's line in the log");
    if (more === 0) await scene.machine.output("systemctl", "restart", SERVICE);
    await scene.well();
  }
}

function startsIn(entries: JournalEntry[]): JournalEntry[] {
  return entries.filter(({ message }) => message.includes('"msg":"agent started"'));
}
