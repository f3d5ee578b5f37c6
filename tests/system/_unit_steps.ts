import assert from "node:assert/strict";
import { delay } from "@std/async";
import type { Terminal } from "../../scripts/dev/control_plane.ts";
import { INSTALLED, SERVICE } from "../../src/system/paths.ts";
import { spread } from "../_figures.ts";
import { epochMs, prompt } from "../_realtime.ts";
import { tell } from "../_together.ts";
import type { Scene, Steps } from "./_scene.ts";

/**
 * How many tasks run while the agent is restarted and killed, how often, and how many bursts of tasks
 * are started while it is killed: `NODERAX_TEST_UNITS=200,50,6`.
 */
const [TASKS = 8, ROUNDS = 2, BURSTS = 2] = (Deno.env.get("NODERAX_TEST_UNITS") ?? "").split(",")
  .filter((text) => text !== "").map(Number);
const UNITS = "noderax-task-*.service";
/** What tasks wait for that are to run meanwhile. */
const OVER = "/var/tmp/over";
/** Runs beside what its agent has to stand. */
const BESIDE = `n=0; until [ -e ${OVER} ]; do echo $((n = n + 1)); sleep 0.5; done`;
/** So many tasks are queued at once in a burst. */
const BURST = 20;
/** How long a burst may take on a machine that is busy, in milliseconds. */
const BURST_MS = 120_000;

/** Tasks in units of systemd's, which outlive the agent. */
export const UNIT_STEPS: Steps = {
  "that tasks are in units is chosen at the start: the log, status and doctor say so": async (
    scene,
  ) => {
    const log = await scene.journal();
    assert.ok(log.some(({ message }) => message.includes("tasks run in units of systemd's")));
    await scene.says(({ stdout }) => /each in a unit of systemd's/.test(stdout), "status");
    await scene.says(({ stdout }) => /tasks in units of systemd's/.test(stdout), "doctor");
  },

  "three tasks have a unit each, which shows no command and no secret": async (scene) => {
    const secret = "hunter22-of-the-unit";
    const ids = [1, 2, 3].map(() =>
      scene.shell("sleep 4000", { environment: { TASK_PASSWORD: secret } })
    );
    for (const id of ids) await scene.controlPlane.waitForTask(id, ["running"]);
    await scene.until("three units", async () => (await unitsOf(scene)).length === 3);
    const groups = await scene.machine.output("systemd-cgls", "--no-pager", "/noderax.slice");
    tell(`\n# systemd-cgls /noderax.slice\n${groups}`);
    const show = ["systemctl", "show", "-P", "ExecStart", `noderax-task-${ids[0]}.service`];
    const program = async () =>
      /argv\[\]=[^]* ; ignore/.exec(await scene.machine.output(...show))?.[0];
    const told = await program();
    await scene.machine.output("systemctl", "daemon-reload");
    assert.equal(await program(), told, "systemd reads another program than it was told");
    for (const id of ids) {
      const shown = await scene.machine.output("systemctl", "show", `noderax-task-${id}.service`);
      assert.match(shown, new RegExp(`Description=Noderax task shell.exec ${id}`));
      assert.ok(!shown.includes(secret) && !shown.includes("sleep 4000"), "a unit tells too much");
      scene.controlPlane.cancelTask(id, "enough");
    }
    for (const id of ids) assert.equal((await scene.ended(id)).status, "cancelled");
    await nothingLeft(scene);
  },

  "a cancelled task leaves nothing: neither what forks nor what hides from every mark": async (
    scene,
  ) => {
    const mark = `4${Math.floor(Math.random() * 1e8)}`;
    const hidden = `setsid env -i /bin/sh -c 'trap "" TERM; sleep ${mark} & wait; sleep ${mark}' &`;
    const id = scene.shell(`${hidden} sleep ${mark}`);
    const living = async () => {
      const { stdout } = await scene.machine.run("pgrep", "-fx", `sleep ${mark}`);
      return stdout.trim().split("\n").filter((line) => line !== "").length;
    };
    await scene.until("its processes", async () => await living() >= 2);
    scene.controlPlane.cancelTask(id, "enough");
    assert.equal((await scene.ended(id)).status, "cancelled");
    assert.equal(await living(), 0);
    await nothingLeft(scene);
  },

  "what a task leaves in the background lives on, is listed, and can be ended": async (scene) => {
    const id = scene.shell("sleep 4000 & echo done");
    assert.equal((await scene.ended(id)).status, "success");
    assert.match(await scene.tells("tasks"), new RegExp(`${id} .*1 process`));
    await scene.tells("tasks", "kill", id);
    assert.match(await scene.tells("tasks"), /No task runs in a unit/);
  },

  "a fork bomb ends its task, with the bound in the error, and all else goes on beside it": async (
    scene,
  ) => {
    const { machine, controlPlane } = scene;
    await scene.configures("set", "task_pids_max", "256");
    await scene.configures("set", "task_memory_max", "512MiB");
    await scene.configures("set", "task_cpu_weight", "50");
    const beside = scene.shell(BESIDE);
    await controlPlane.waitForTask(beside, ["running"]);
    const names = "TasksMax,MemoryMax,CPUWeight,OOMPolicy,OOMScoreAdjust";
    const unit = `noderax-task-${beside}.service`;
    const isActive = async () => (await machine.run("systemctl", "is-active", unit)).code === 0;
    await scene.until("its unit", isActive);
    const bounds = await machine.output("systemctl", "show", "-p", names, unit);
    tell(`\n# systemctl show -p ${names} ${unit}\n${bounds}`);
    for (const bound of ["TasksMax=256", "MemoryMax=536870912", "CPUWeight=50"]) {
      assert.ok(bounds.includes(bound), bounds);
    }
    const terminal = controlPlane.realtime.openTerminal({ cols: 100, rows: 30, runAsRoot: true });
    await prompt(terminal);
    const heartbeats = () =>
      controlPlane.requests.filter(({ path }) => path.endsWith("/heartbeat")).length;
    const before = heartbeats();
    // It has a last moment before it is seen.
    // Its shell would end by itself when it can start no process, maybe before anybody has looked.
    const loop = "while :; do :; done";
    const bomb = scene.shell(`trap "" TERM; b() { b | b & }; (while :; do b; done) & ${loop}`);
    await controlPlane.waitForTask(bomb, ["running"]);
    const { median, worst } = spread(await echoesOf(terminal));
    const { status, completion } = await scene.ended(bomb);
    assert.equal(status, "failed");
    assert.match(completion?.error ?? "", /ended by the process limit of 256 \(task_pids_max\)/);
    await machine.output("touch", OVER);
    assert.equal((await scene.ended(beside)).status, "success");
    await machine.output("rm", OVER);
    await scene.until("a heartbeat", () => Promise.resolve(heartbeats() > before));
    tell(
      `a key's echo beside a fork bomb of ${completion?.durationMs} ms: median ` +
        `${median.toFixed(1)} ms, worst ${worst.toFixed(1)} ms; ${completion?.error}`,
    );
    assert.ok(median < 50, `a key's echo took ${median} ms`);
    terminal.input("\u0015exit\n");
    await terminal.waitFor((t) => t.ended);
    for (const key of ["task_pids_max", "task_memory_max", "task_cpu_weight"]) {
      await scene.configures("unset", key);
    }
    await nothingLeft(scene);
  },

  "a memory hog ends its task, with the bound in the error, and all else goes on beside it": async (
    scene,
  ) => {
    const { machine, controlPlane } = scene;
    await scene.configures("set", "task_memory_max", "64MiB");
    const beside = scene.shell(BESIDE);
    await controlPlane.waitForTask(beside, ["running"]);
    const terminal = controlPlane.realtime.openTerminal({ cols: 100, rows: 30, runAsRoot: true });
    await prompt(terminal);
    // It goes on itself: it is a child of its that is killed.
    const hog = scene.shell("tail /dev/zero; sleep 600");
    const { median, worst } = spread(await echoesOf(terminal));
    const { status, completion } = await scene.ended(hog);
    assert.equal(status, "failed");
    assert.equal(completion?.error, "ended by the memory limit of 64 MiB (task_memory_max)");
    await machine.output("touch", OVER);
    assert.equal((await scene.ended(beside)).status, "success");
    await machine.output("rm", OVER);
    tell(
      `a key's echo beside a memory hog: median ${median.toFixed(1)} ms, ` +
        `worst ${worst.toFixed(1)} ms`,
    );
    assert.ok(median < 50, `a key's echo took ${median} ms`);
    terminal.input("\u0015exit\n");
    await terminal.waitFor((t) => t.ended);
    await scene.configures("unset", "task_memory_max");
    assert.equal(await machine.output("systemctl", "is-active", SERVICE), "active");
    await nothingLeft(scene);
  },

  "status and the metrics show what running tasks use, and the end of a long one says it": async (
    scene,
  ) => {
    const { machine, controlPlane } = scene;
    const port = freePort();
    await scene.tells("config", "set", "metrics_listen", `127.0.0.1:${port}`, "--restart");
    await scene.well();
    const id = scene.shell(
      `end=$(($(date +%s) + 12)); until [ $(date +%s) -ge $end ] && [ -e ${OVER} ]; do :; done`,
    );
    await controlPlane.waitForTask(id, ["running"]);
    const uses = "[\\d.]+ s of CPU time, .*at most \\d+ process(es)?";
    const shown = await scene.until("what it uses", async () => {
      const text = await scene.tells("status");
      return new RegExp(`${id} shell\\.exec, .*: .*${uses}`).exec(text)?.[0];
    });
    const scrape = `exec 3<>/dev/tcp/127.0.0.1/${port}; ` +
      'printf "GET /metrics HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n" >&3; cat <&3';
    const metrics = await machine.output("bash", "-c", scrape);
    const sums = metrics.split("\n").filter((line) =>
      line.startsWith("noderax_agent_tasks_running_")
    );
    tell(
      `\n# noderax-agent status\n${shown}\n# curl -s 127.0.0.1:${port}/metrics\n${sums.join("\n")}`,
    );
    for (const what of ["cpu_seconds", "processes"]) {
      assert.ok(sums.some((line) => line.includes(`_${what}{type="shell.exec"}`)), metrics);
    }
    await machine.output("touch", OVER);
    assert.equal((await scene.ended(id)).status, "success");
    await machine.output("rm", OVER);
    const used = controlPlane.streamText(id, "system");
    tell(used);
    assert.match(used, new RegExp(`^\\[used: ${uses}\\]$`));
    await scene.tells("config", "unset", "metrics_listen", "--restart");
    await scene.well();
  },

  "restarts and kills of the agent end no task, lose no line and leave nothing": async (scene) => {
    const { machine, controlPlane } = scene;
    await scene.configures("set", "max_tasks", "0");
    const script = "n=0; echo x >>/var/tmp/ran-$AGENT_TASK_ID; " +
      `until [ -e ${OVER} ]; do n=$((n + 1)); echo line $n; sleep 1; done; ` +
      "echo end $n >&2; exit ";
    const tasks = Array.from({ length: TASKS }, (_, at) => ({
      code: at % 5,
      id: scene.shell(script + (at % 5)),
    }));
    for (const { id } of tasks) await controlPlane.waitForTask(id, ["running"]);
    const tookMs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const from = performance.now();
      await machine.output("systemctl", "restart", SERVICE);
      tookMs.push(performance.now() - from);
      await scene.another(await scene.kill());
    }
    await scene.well();
    await machine.output("touch", OVER);
    let [lines, again] = [0, 0];
    for (const { id, code } of tasks) {
      const { completion } = await scene.ended(id);
      assert.equal(completion?.exitCode, code, String(completion?.error));
      const [, count] = /^end (\d+)$/m.exec(controlPlane.streamText(id, "stderr")) ?? [];
      const { logs } = controlPlane.task(id);
      const entries = logs.filter(({ stream }) => stream === "stdout").map(({ line }) => line);
      lines += Number(count);
      again += linesAgain(entries, Number(count));
      assert.equal(await machine.output("cat", `/var/tmp/ran-${id}`), "x", "a task was run twice");
    }
    await machine.output("rm", OVER);
    const slowest = Math.round(Math.max(...tookMs));
    tell(
      `${TASKS} tasks, ${ROUNDS} restarts (the slowest took ${slowest} ms) and ${ROUNDS} kills: ` +
        `${lines} lines, 0 lost, ${again} told again after a kill`,
    );
    await nothingLeft(scene);
    await scene.configures("unset", "max_tasks");
  },

  "a kill in the middle of many starts: each task is run once, and nothing is left": async (
    scene,
  ) => {
    const { machine, controlPlane } = scene;
    await scene.configures("set", "max_tasks", "0");
    const tasks: { id: string; code: number }[] = [];
    const kills: number[] = [];
    for (let burst = 0; burst < BURSTS; burst++) {
      const begun = Array.from({ length: BURST }, (_, at) => {
        const command = `echo x >>/var/tmp/ran-$AGENT_TASK_ID; echo done; sleep ${at % 3}; exit `;
        return { id: scene.shell(command + (at % 5)), code: at % 5 };
      });
      tasks.push(...begun);
      // Another place in the burst each time.
      const enough = 1 + (burst * 7) % (BURST - 5);
      const isTime = () => begun.filter(({ id }) => told(scene, id) > 0).length >= enough;
      await controlPlane.waitFor(isTime, { timeoutMs: BURST_MS });
      const pid = await scene.kill();
      kills.push(epochMs());
      await scene.another(pid);
    }
    await endLostLeases(scene, tasks);
    const late: string[] = [];
    for (const { id, code } of tasks) {
      const { completion, transitions, logs } = await controlPlane.waitForTask(
        id,
        ({ status }) => status === "failed" || status === "success",
        BURST_MS,
      );
      assert.equal(completion?.exitCode, code, controlPlane.describe(id));
      const ran = await machine.output("cat", `/var/tmp/ran-${id}`);
      assert.equal(ran, "x", "a task was run twice");
      const lines = logs.filter(({ stream }) => stream === "stdout").map(({ line }) => line);
      // One whose answer a kill cut off comes again.
      assert.deepEqual([...new Set(lines)], ["done"]);
      const given = transitions.filter(({ status }) => status === "accepted");
      if (given.length === 1) continue;
      // A claim whose answer died with its caller is the control plane's to give out again.
      const killed = kills.find((at) => at >= (given[0]?.at ?? 0));
      assert.equal(told(scene, id, killed), 0, controlPlane.describe(id));
      late.push(id);
    }
    tell(
      `${tasks.length} tasks in ${BURSTS} bursts with a kill in each: 0 lost, 0 run twice; of ${late.length} ` +
        "the agent had heard nothing yet, and got them once more after their lease",
    );
    await nothingLeft(scene);
    await scene.configures("unset", "max_tasks");
  },

  "tasks that are cancelled at any moment, while their agent is killed, end once and as themselves":
    async (scene) => {
      const { machine, controlPlane } = scene;
      await scene.configures("set", "max_tasks", "0");
      const tasks: { id: string; code: number; isCancelled: boolean }[] = [];
      const cancels: Promise<void>[] = [];
      const kill = async () => {
        const isRunning = async () => await scene.property("SubState") === "running";
        await scene.until("an agent to be killed", isRunning);
        await scene.kill();
      };
      for (let at = 0; at < 40; at++) {
        const code = at % 3;
        const id = scene.shell(
          `echo x >>/var/tmp/ran-$AGENT_TASK_ID; sleep 0.${at % 10}; echo done; exit ${code}`,
        );
        const isCancelled = at % 2 === 0;
        tasks.push({ id, code, isCancelled });
        await delay(40);
        // Some before they begin, some as they end, some while there is no agent.
        const cancel = () => controlPlane.cancelTask(id, "enough");
        if (isCancelled) cancels.push(delay(at * 137 % 900).then(cancel));
        if (at % 16 === 15) await kill();
      }
      await Promise.all(cancels);
      await endLostLeases(scene, tasks);
      for (const { id, code, isCancelled } of tasks) {
        const { status, completion } = await scene.ended(id);
        const { stdout } = await machine.run("cat", `/var/tmp/ran-${id}`);
        const ran = stdout.split("\n").filter((line) => line !== "").length;
        if (status === "cancelled") assert.ok(isCancelled && ran <= 1, `${id} ran ${ran} times`);
        else assert.deepEqual([completion?.exitCode, ran], [code, 1], String(completion?.error));
      }
      await scene.configures("unset", "max_tasks");
      await nothingLeft(scene);
    },

  "a change of packages goes on through a restart and a kill, and so does one that waits": async (
    scene,
  ) => {
    const { machine, controlPlane } = scene;
    await machine.output("sh", "-c", ARCHIVE, "sh");
    const install = (name: string) =>
      controlPlane.queueTask({ type: "packageInstall", payload: { names: [name] } });
    const begun = (id: string) =>
      scene.until(
        "its script",
        () => Promise.resolve(controlPlane.streamText(id, "stdout").includes("slow begins")),
      );
    const slow = install("slow-one");
    await begun(slow);
    const waits = install("slow-two");
    await controlPlane.waitForTask(waits, ["running"]);
    await machine.output("systemctl", "restart", SERVICE);
    // It waits for longer than its promise holds; the agent may just be writing that itself.
    const record = `${INSTALLED.stateFolder}/tasks/${waits}.json`;
    const aged = '1s/"claimed":{[^}]*}/"claimed":{"bootId":"before","ms":0}/';
    await scene.until("its promise to be of long ago", async () => {
      await machine.output("sed", "-i", aged, record);
      return (await machine.output("cat", record)).includes('"bootId":"before"');
    });
    await scene.kill();
    await machine.output("touch", GO);
    for (const [id, name] of [[slow, "slow-one"], [waits, "slow-two"]] as const) {
      const { status, completion, result } = await scene.ended(id);
      assert.equal(status, "success", String(completion?.error));
      assert.deepEqual(result?.changed, [{ name, to: "1.0" }]);
      const lines = controlPlane.streamText(id, "stdout").split("\n");
      for (const line of ["slow begins", "slow ends"]) {
        assert.equal(lines.filter((each) => each === line).length, 1, lines.join("\n"));
      }
    }
    const said = controlPlane.streamText(slow, "system");
    assert.doesNotMatch(said, /dpkg is busy/, "it waited for its own lock");

    await machine.output("rm", GO);
    const fails = install("slow-bad");
    await begun(fails);
    await scene.kill();
    await machine.output("touch", GO);
    const { result } = await scene.ended(fails);
    assert.equal(result?.exitCode, 100);
    assert.match(String(result?.error), /slow-bad.*dpkg has left slow-bad half done: run "dpkg/s);
    assert.deepEqual(result?.changed, [{ name: "slow-bad", to: "1.0" }]);
    await machine.output("dpkg", "--purge", "--force-all", "slow-bad");

    await machine.output("rm", GO);
    const cancelled = install("slow-three");
    await begun(cancelled);
    await machine.output("systemctl", "restart", SERVICE);
    controlPlane.cancelTask(cancelled, "enough");
    const says = /apt-get is asked to stop, dpkg may finish what it is at/;
    await controlPlane.waitFor(() => says.test(controlPlane.streamText(cancelled, "system")));
    await machine.output("touch", GO);
    assert.equal((await scene.ended(cancelled)).status, "cancelled");
    assert.equal(await machine.output("dpkg", "--audit"), "");
    await nothingLeft(scene);
  },

  "a task that restarts the agent ends as a success, whatever it has made of its output": async (
    scene,
  ) => {
    const closed = "chmod 0 /dev/stdout && chown nobody:nogroup /dev/stderr";
    const command = `${closed} && systemctl restart ${SERVICE} && echo restarted`;
    const payload = { runAsRoot: true, rootScope: "task" };
    const { id, status, completion } = await scene.ended(scene.shell(command, payload));
    assert.equal(status, "success", String(completion?.error));
    assert.equal(scene.controlPlane.streamText(id, "stdout"), "restarted");
    await scene.well();
  },

  "`stop` ends the tasks in units and reports them": async (scene) => {
    const id = scene.shell("sleep 4000");
    await scene.controlPlane.waitForTask(id, ["running"]);
    const from = performance.now();
    await scene.tells("stop");
    const tookMs = performance.now() - from;
    // The agent goes once it has reported them: it does not wait until it must give up.
    assert.ok(tookMs < 30_000, `it took ${tookMs} ms`);
    const { status, completion } = await scene.ended(id);
    assert.deepEqual([status, completion?.error], ["failed", "agent is stopping"]);
    await nothingLeft(scene);
    await scene.tells("start");
    await scene.well();
  },
};

/**
 * Requires the lines 1 to `count` in their order; gives how many of them have come again. A task sends
 * one entry at a time, and whether one has arrived whose answer a kill cut off nobody can know: so
 * once for each kill the lines may go back to where the entry before began, and no further.
 */
function linesAgain(entries: readonly string[], count: number): number {
  let [began, next, again, returns] = [1, 1, 0, 0];
  for (const entry of entries) {
    const numbers = entry.split("\n").filter((line) => line !== "").map((line) =>
      Number(line.slice("line ".length))
    );
    if (numbers[0] === began && began < next) {
      returns++;
      again += next - began;
      next = began;
    }
    began = next;
    for (const number of numbers) {
      assert.equal(number, next++, `a line is missing, or out of place: ${entries.map(shortly)}`);
    }
  }
  assert.equal(next, count + 1, "the last lines are missing");
  assert.ok(returns <= ROUNDS, `entries came again ${returns} times after ${ROUNDS} kills`);
  return again;
}

/** The lines of an entry, as their first and last number. */
function shortly(entry: string): string {
  const numbers = [...entry.matchAll(/^line (\d+)$/gm)].map(([, number]) => number);
  return `${numbers.at(0)}-${numbers.at(-1)}`;
}

/** How long the echoes of some keys take one after another, in milliseconds. */
async function echoesOf(terminal: Terminal): Promise<number[]> {
  const echoes: number[] = [];
  while (echoes.length < 40) {
    const [length, from] = [terminal.text.length, performance.now()];
    terminal.input("#");
    await terminal.waitFor(({ text }) => text.length > length);
    echoes.push(performance.now() - from);
  }
  return echoes;
}

/** How often the agent has said something of a task, by a time in epoch milliseconds. */
function told({ controlPlane }: Scene, taskId: string, by = Infinity): number {
  return controlPlane.requests.filter((each) => each.taskId === taskId && each.at <= by).length;
}

/**
 * Has tasks given out once more that were given to an agent in the moment of its kill, and of which
 * none knows: the control plane does so when their lease is over, which is not waited for here.
 */
async function endLostLeases(scene: Scene, tasks: readonly { id: string }[]): Promise<void> {
  const { controlPlane } = scene;
  const isLost = (id: string) =>
    controlPlane.task(id).status === "accepted" && told(scene, id) === 0;
  let seen: string | undefined;
  const lost = await scene.until("all that the agent knows of to end", async () => {
    const open = tasks.map(({ id }) => id).filter((id) => !controlPlane.task(id).endedAt);
    if (open.length === 0) return open;
    const { agent } = JSON.parse((await scene.agent("status", "--json")).stdout);
    const isIdle = agent?.tasks.running.length === 0 && agent.tasks.reporting === 0;
    // An answer that is on its way to it has arrived by the second look.
    const before = seen;
    seen = isIdle && open.every(isLost) ? open.join() : undefined;
    return seen !== undefined && seen === before ? open : undefined;
  });
  for (const id of lost) controlPlane.endLease(id);
}

/** The machine shares this one's ports. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function unitsOf({ machine }: Scene): Promise<string[]> {
  const list = ["list-units", "--all", "--plain", "--no-legend", UNITS];
  const { stdout } = await machine.run("systemctl", ...list);
  return stdout.split("\n").filter((line) => line !== "");
}

async function nothingLeft(scene: Scene): Promise<void> {
  await scene.until("the end of all units", async () => (await unitsOf(scene)).length === 0);
  await scene.until("the end of their pipes", async () => {
    const folder = `${INSTALLED.runtimeFolder}/tasks`;
    return (await scene.machine.run("ls", folder)).stdout.trim() === "";
  });
}

/** What the scripts of packages wait for. */
const GO = "/var/tmp/go";

/** Adds packages whose scripts wait, and one of which fails, to the archive of the machine. */
const ARCHIVE = `set -e
cd /srv/archive
for name in one two three bad; do
  package=$(mktemp -d)
  mkdir "$package/DEBIAN"
  printf 'Package: slow-%s\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: nobody\\nDescription: slow\\n' \
    "$name" >"$package/DEBIAN/control"
  code=0
  [ "$name" != bad ] || code=3
  printf '#!/bin/sh\\necho slow begins\\nn=0; until [ -e ${GO} ] || [ $((n += 1)) -gt 600 ]; do sleep 0.1; done\\necho slow ends\\nexit %s\\n' "$code" >"$package/DEBIAN/postinst"
  chmod 755 "$package" "$package/DEBIAN/postinst"
  dpkg-deb --build "$package" "slow-$name.deb" >/dev/null
  { dpkg-deb -f "slow-$name.deb"; printf 'Filename: %s\\nSize: %s\\nSHA256: %s\\n\\n' "slow-$name.deb" \
    "$(stat -c %s "slow-$name.deb")" "$(sha256sum "slow-$name.deb" | cut -d' ' -f1)"; } >>Packages.new
  rm -r "$package"
done
{ cat Packages; echo; cat Packages.new; } >Packages.all
mv Packages.all Packages
apt-get update -qq`;
