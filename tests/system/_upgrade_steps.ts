import assert from "node:assert/strict";
import type { Terminal } from "../../scripts/dev/control_plane.ts";
import { INSTALLED, SERVICE, SERVICE_USER } from "../../src/system/paths.ts";
import { VERSION } from "../../src/system/version.ts";
import { numbers, prompt, upTo } from "../_realtime.ts";
import { tell } from "../_together.ts";
import { endsWhole } from "./_deb_steps.ts";
import { BUNDLES, type Steps } from "./_scene.ts";

/** As many as may be open at a time (docs/terminals.md). */
const MAX_TERMINALS = 32;

/** Other versions on top of the first one, and the way out. */
export const UPGRADE_STEPS: Steps = {
  "an upgrade from an agent of children keeps identity and configuration, and reports what ran":
    async (scene) => {
      const { machine, bundles } = scene;
      // As an agent that knew no units has left the machine.
      await scene.tells("config", "set", "task_isolation", "child", "--no-restart");
      await scene.tells("install");
      await scene.well();
      assert.equal(await scene.property("NoNewPrivileges"), "no");
      await scene.tells("config", "unset", "task_isolation", "--no-restart");
      const kept = ["sha256sum", INSTALLED.identity, INSTALLED.config];
      const before = await machine.output(...kept);
      const task = await scene.endlessTask();
      const installed = await machine.run(`${BUNDLES}/next/noderax-agent`, "install");
      tell(`\n# noderax-agent install     (an upgrade)\n${installed.stdout}${installed.stderr}`);
      assert.equal(installed.code, 0);
      const { status, completion } = await scene.ended(task.taskId);
      assert.deepEqual([status, completion?.error], ["failed", "agent is stopping"]);
      assert.equal(await task.living(), 0);
      assert.equal(await machine.output(...kept), before);
      await scene.well();
      assert.equal((await scene.status()).agent.version, bundles.nextVersion);
      assert.equal(scene.node.agentVersion, bundles.nextVersion);
      assert.equal(await scene.property("NoNewPrivileges"), "yes");
      assert.match(await scene.output("cat /proc/self/cgroup"), /noderax\.slice/);
    },

  "an upgrade of an agent of units ends no task, although it is a task that upgrades": async (
    scene,
  ) => {
    const task = await scene.endlessTask();
    for (const [bundle, version] of [["first", VERSION], ["next", scene.bundles.nextVersion]]) {
      const pid = await scene.property("MainPID");
      const command = `${BUNDLES}/${bundle}/noderax-agent install && echo over`;
      const output = await scene.output(command, { runAsRoot: true, rootScope: "task" });
      tell(`\n# noderax-agent install     (of ${version}, as a task)\n${output}`);
      assert.match(output, /over$/);
      await scene.well();
      assert.notEqual(await scene.property("MainPID"), pid);
      assert.equal(scene.node.agentVersion, version);
    }
    await endsWhole(scene, task);
  },

  "as many terminals as there may be go on through a restart, an upgrade and a kill": async (
    scene,
  ) => {
    const { machine, controlPlane } = scene;
    await machine.output("rm", "-f", "/over");
    const terminals: Terminal[] = [];
    while (terminals.length < MAX_TERMINALS) {
      // No more at once than a machine that is busy starts in time.
      const opened = Array.from({ length: 8 }, async (_, at) => {
        const nth = terminals.length + at;
        const terminal = controlPlane.realtime.openTerminal({
          ...{ cols: 100, rows: 30, runAsRoot: nth % 2 === 0 },
        });
        await prompt(terminal);
        const loop = "i=0; until [ -e /over ]; do echo n$((i = i + 1)); sleep 0.2; done";
        terminal.input(`echo first''=$$; ${loop}; echo last''=$$ n=$i; exit ${nth}\n`);
        await terminal.waitForText("n1\r\n");
        return terminal;
      });
      terminals.push(...await Promise.all(opened));
    }
    const stored = () => scene.property("NFileDescriptorStore").then(Number);
    assert.ok(await stored() >= MAX_TERMINALS);
    const isFirst = (await scene.status()).agent.version === VERSION;
    const [other, same] = isFirst ? ["next", "first"] : ["first", "next"];
    const ways: [string, string[]][] = [
      ["a restart", ["systemctl", "restart", SERVICE]],
      ["another release", [`${BUNDLES}/${other}/noderax-agent`, "install"]],
      ["the one before", [`${BUNDLES}/${same}/noderax-agent`, "install"]],
      ["kill -9", ["systemctl", "kill", "--kill-who=main", "--signal=KILL", SERVICE]],
    ];
    for (const [name, command] of ways) {
      const pid = await scene.property("MainPID");
      await machine.output(...command);
      await scene.another(pid);
      await scene.well();
      const frames = terminals.map(({ frames }) => frames);
      const goOn = () => terminals.every((each, at) => each.frames > (frames[at] ?? Infinity));
      await controlPlane.waitFor(goOn, { what: () => `all of them to go on after ${name}` });
    }
    await machine.output("touch", "/over");
    let lines = 0;
    for (const [at, terminal] of terminals.entries()) {
      await terminal.waitFor((t) => t.ended);
      const { text } = terminal;
      assert.deepEqual([terminal.exited?.exitCode, terminal.error], [at, undefined]);
      const [, first] = /first=(\d+)\r/.exec(text) ?? [];
      const [, last, count] = /last=(\d+) n=(\d+)\r/.exec(text) ?? [];
      assert.ok(first !== undefined && first === last, text);
      assert.deepEqual(numbers(terminal), upTo(Number(count)));
      lines += Number(count);
    }
    // They are given back one by one.
    await scene.until("the end of all descriptors", async () => await stored() === 0);
    const left = ["list-units", "--all", "--plain", "--no-legend", "noderax-terminal-*"];
    await scene.until("the end of all units", async () => {
      return await machine.output("systemctl", ...left) === "";
    });
    assert.equal(await machine.output("ls", `${INSTALLED.runtimeFolder}/terminals`), "");
    tell(
      `${terminals.length} terminals through ${ways.map(([name]) => name).join(", ")}: ${lines} ` +
        "lines, none missing; the same shells; no descriptor, unit or file is left",
    );
  },

  "a second run of the same changes nothing, and the agent runs on": async (scene) => {
    const pid = await scene.property("MainPID");
    const { code } = await scene.agent("install");
    assert.equal(code, 0);
    assert.equal(await scene.property("MainPID"), pid);
  },

  "an upgrade that is killed half way is put right by the next": async (scene) => {
    const { machine } = scene;
    const old = `${INSTALLED.programFolder}.old`;
    const script = `setsid ${BUNDLES}/first/noderax-agent install >/dev/null & ` +
      `until [ -e ${old} ]; do sleep 0.02; done; kill -KILL -$!; wait $!`;
    assert.equal((await machine.run("timeout", "60", "sh", "-c", script)).code, 128 + 9);
    for (const [bundle, version] of [["first", VERSION], ["next", scene.bundles.nextVersion]]) {
      await machine.output(`${BUNDLES}/${bundle}/noderax-agent`, "install");
      await scene.well();
      assert.equal(
        (await scene.status()).agent.version,
        version,
        "another agent runs than is installed",
      );
      assert.equal((await machine.run("test", "-e", old)).code, 1);
    }
  },

  "an upgrade to a program that does not start is rolled back": async (scene) => {
    const installed = await scene.machine.run(`${BUNDLES}/broken/noderax-agent`, "install");
    tell(`\n# noderax-agent install     (of a broken one)\n${installed.stdout}${installed.stderr}`);
    assert.equal(installed.code, 1);
    assert.doesNotMatch(installed.stderr, /^\s+at /m);
    await scene.well();
    assert.match(await scene.tells("version"), new RegExp(scene.bundles.nextVersion));
    assert.equal(await scene.output("echo back"), "back");
  },

  "from inside of a task it cannot be removed": async (scene) => {
    const { completion } = await scene.ended(
      scene.shell("noderax-agent uninstall", { runAsRoot: true, rootScope: "task" }),
    );
    assert.equal(completion?.exitCode, 1);
    assert.match(completion?.output ?? "", /This shell belongs to the agent's service/);
  },

  "uninstall stops it, keeps configuration and state, and lists what it did": async (scene) => {
    const { machine } = scene;
    const task = await scene.endlessTask();
    const { code, stdout, stderr } = await scene.agent("uninstall");
    tell(`\n# noderax-agent uninstall\n${stdout}${stderr}`);
    assert.equal(code, 0);
    assert.equal((await scene.ended(task.taskId)).status, "failed");
    assert.equal(await task.living(), 0);
    const { programFolder, link, unit } = INSTALLED;
    for (const gone of [programFolder, link, unit]) {
      assert.equal((await machine.run("test", "-e", gone)).code, 1, gone);
      assert.ok(stdout.includes(gone), `${gone} is not listed`);
    }
    for (const kept of [INSTALLED.config, INSTALLED.identity]) {
      await machine.output("test", "-f", kept);
    }
    assert.equal(await machine.output("systemctl", "list-units", "--all", "-q", SERVICE), "");
    assert.equal((await machine.run("pgrep", "-u", SERVICE_USER)).stdout, "");
  },

  "installed again it is the same node": async (scene) => {
    const { machine, bundles, controlPlane } = scene;
    const nodes = controlPlane.nodes.length;
    await machine.output(`/root/${bundles.archive}/noderax-agent`, "install", "--non-interactive");
    await scene.well();
    assert.equal(controlPlane.nodes.length, nodes);
    assert.equal(await scene.output("echo again"), "again");
  },
};
