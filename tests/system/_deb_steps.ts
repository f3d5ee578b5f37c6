import assert from "node:assert/strict";
import { INSTALLED, SERVICE, SERVICE_USER } from "../../src/system/paths.ts";
import { VERSION } from "../../src/system/version.ts";
import { tell } from "../_together.ts";
import { answer } from "./_install_steps.ts";
import type { Ran } from "./_machine.ts";
import { assertShown } from "./_sample.ts";
import { BUNDLES, type EndlessTask, type Scene, type Steps } from "./_scene.ts";
import { Session } from "./_session.ts";
import { filesOf, nothingNew } from "./_unattended_steps.ts";

/** What may stay after a purge: the user and what it owns, the package manager's own files. */
const STAYS =
  /^\/(home|var\/(lib\/(dpkg|apt|systemd)|cache|log)|etc\/(passwd|group|g?shadow|sub[ug]id))/;

/** The life of an agent that the Debian package has installed. */
export function debSteps(): Steps {
  let pristine: string[] = [];
  return {
    "a package asks nothing, starts nothing, and says what to run; that enrolls": async (scene) => {
      const { machine, controlPlane } = scene;
      pristine = await filesOf(scene);
      await using session = new Session(machine);
      await session.sees();
      await session.types(`apt-get install -y -q ${BUNDLES}/first.deb`);
      await session.sees();
      assert.match(session.text, /To enroll this machine and start it: sudo noderax-agent enroll/);
      assert.equal(await scene.property("ActiveState"), "inactive");
      assert.equal(await scene.property("UnitFileState"), "disabled");
      // The first start is as quick as any other.
      assert.match(await machine.output("ls", INSTALLED.cacheFolder), /^v8_code_cache/m);
      assert.match(await scene.tells("version"), new RegExp(VERSION));
      await session.types("noderax-agent enroll");
      await answer(session, controlPlane);
      await session.types("noderax-agent status");
      await session.sees();
      const code = await session.leaves();
      tell(`\nA first installation of the package:\n\n${session.text.replace(/# exit\n$/, "")}`);
      assert.equal(code, 0);
      await assertShown("noderax-agent enroll", session.text);
      await scene.well();
      assert.equal(
        await scene.output("id -un; pwd; cd; pwd"),
        `${SERVICE_USER}\n/home/${SERVICE_USER}\n/home/${SERVICE_USER}`,
      );
    },

    "its files are where `install` has them, and dpkg knows them": async (scene) => {
      const { machine } = scene;
      const wanted = {
        [INSTALLED.program]: "755 root:root regular file",
        [INSTALLED.link]: "777 root:root symbolic link",
        [INSTALLED.config]: "600 root:root regular file",
        [INSTALLED.stateFolder]: "700 root:root directory",
        [INSTALLED.identity]: "600 root:root regular file",
        [`/home/${SERVICE_USER}`]: `700 ${SERVICE_USER}:${SERVICE_USER} directory`,
      };
      const stat = await machine.output("stat", "-c", "%n\t%a %U:%G %F", ...Object.keys(wanted));
      assert.deepEqual(
        Object.fromEntries(stat.split("\n").map((line) => line.split("\t"))),
        wanted,
      );
      assert.match(await dpkgVerifies(scene), /^(\?\?5\?* c \/etc\/noderax-agent\/config.json)?$/);
      assert.deepEqual(await machine.run("systemd-analyze", "verify", SERVICE), DONE);
      const perl =
        'our %nrconf; defined(do "/etc/needrestart/conf.d/noderax-agent.conf") or die; ' +
        'my ($re, $restarts) = %{$nrconf{override_rc}}; "noderax-agent.service" =~ $re or die; print $restarts';
      assert.equal(await machine.output("perl", "-e", perl), "0");
      await scene.says(({ code }) => code === 0, "doctor");
    },

    "`install` finds nothing to do, and leaves to the package what is the package's": async (
      scene,
    ) => {
      const pid = await scene.property("MainPID");
      const before = await dpkgVerifies(scene);
      const installed = await scene.agent("install", "--non-interactive");
      tell(`\n# noderax-agent install     (of a packaged one)\n${shown(installed)}`);
      assert.equal(installed.code, 0);
      assert.deepEqual([await scene.property("MainPID"), await dpkgVerifies(scene)], [pid, before]);
      assert.equal((await scene.machine.run("test", "-e", INSTALLED.unit)).code, 1);
    },

    "another release is not put over it, and uninstall says what to use": async (scene) => {
      const over = await scene.machine.run(`${BUNDLES}/next/noderax-agent`, "install");
      const uninstalled = await scene.agent("uninstall", "--purge");
      tell(`\n# over a package: install, uninstall\n${shown(over)}${shown(uninstalled)}`);
      assert.deepEqual([over.code, uninstalled.code], [1, 1]);
      assert.match(over.stderr, /upgrade it by `sudo apt-get install \.\/FILE\.deb`/);
      assert.match(uninstalled.stderr, /remove it by `sudo apt-get remove noderax-agent`/);
      await scene.well();
    },

    "an upgrade under a running task asks nothing, keeps all, restarts, and ends nothing": async (
      scene,
    ) => {
      const { machine, bundles } = scene;
      await scene.configures("set", "shutdown_timeout", "4s");
      await scene.well();
      const kept = ["sha256sum", INSTALLED.identity, INSTALLED.config];
      const before = await machine.output(...kept);
      const task = await scene.endlessTask();
      const upgraded = await apt(scene, "install", `${BUNDLES}/next.deb`);
      tell(`\n# apt-get install next.deb     (an upgrade)\n${shown(upgraded)}`);
      assert.equal(upgraded.code, 0);
      assert.doesNotMatch(shown(upgraded), /To enroll|Configuration file/);
      assert.equal(await machine.output(...kept), before);
      await runs(scene, bundles.nextVersion);
      await endsWhole(scene, task);
    },

    "a task that installs another version outlives the agent, and tells all of it": async (
      scene,
    ) => {
      const pid = await scene.property("MainPID");
      const waits =
        `until [ "$(systemctl show --value -p MainPID ${SERVICE})" != ${pid} ]; do sleep 0.1; done`;
      const command = `apt-get install -y -q -o Dpkg::Use-Pty=0 --allow-downgrades ` +
        `${BUNDLES}/first.deb && ${waits}; for i in 1 2 3; do echo over $i; sleep 1; done`;
      const { id, completion, status, logs } = await scene.ended(
        scene.shell(command, { runAsRoot: true, rootScope: "task" }),
      );
      const lines = logs.map(({ stream, line }) => `${stream}: ${line}`).join("\n");
      tell(`\n# a task: ${command}\n${lines}\n${status}, exit code ${completion?.exitCode}`);
      assert.equal(status, "success", `${completion?.error} ${completion?.output}`);
      const stdout = scene.controlPlane.streamText(id, "stdout");
      assert.match(
        stdout,
        /^Reading package lists.*Setting up noderax-agent .*over 1\nover 2\nover 3$/s,
      );
      assert.equal(stdout.split("Setting up noderax-agent").length, 2);
      await runs(scene, VERSION);
      assert.equal(await scene.machine.output("dpkg", "--audit"), "");
    },

    "with tasks as children `install` takes the lock-down of the package's unit away, and back":
      async (scene) => {
        const rights = { runAsRoot: true, rootScope: "task" };
        const look = "grep NoNewPrivs /proc/self/status";
        for (
          const [change, bound] of [[["set", "task_isolation", "child"], "no"], [[
            "unset",
            "task_isolation",
          ], "yes"]] as const
        ) {
          await scene.tells("config", ...change, "--no-restart");
          const installed = await scene.agent("install", "--non-interactive");
          tell(
            `\n# noderax-agent config ${change.join(" ")}; noderax-agent install\n${
              shown(installed)
            }`,
          );
          assert.equal(installed.code, 0);
          await scene.well();
          assert.equal(await scene.property("NoNewPrivileges"), bound);
          assert.match(await scene.output(look, rights), /NoNewPrivs:\s*0/);
          const exposure = await scene.machine.output(
            "systemd-analyze",
            "security",
            "--no-pager",
            SERVICE,
          );
          const [, level] = /exposure level for .*: ([0-9.]+)/.exec(exposure) ?? [];
          assert.equal(Number(level) <= 2.5, bound === "yes", exposure);
        }
      },

    "a task cannot remove it from under itself": async (scene) => {
      const { completion } = await scene.ended(
        scene.shell("apt-get remove -y noderax-agent", { runAsRoot: true, rootScope: "task" }),
      );
      assert.equal(completion?.exitCode, 100);
      assert.match(
        completion?.output ?? "",
        /systemd-run --pipe --wait apt-get remove noderax-agent/,
      );
      const status = [
        "dpkg-query",
        "--show",
        "--showformat",
        "${db:Status-Status}",
        "noderax-agent",
      ];
      assert.equal(await scene.machine.output(...status), "installed");
      await scene.well();
    },

    "removed, configuration and identity are kept": async (scene) => {
      const { machine } = scene;
      const task = await scene.endlessTask();
      const removed = await apt(scene, "remove", "noderax-agent");
      tell(`\n# apt-get remove noderax-agent\n${shown(removed)}`);
      assert.equal(removed.code, 0);
      assert.equal((await scene.ended(task.taskId)).status, "failed");
      assert.equal(await task.living(), 0);
      for (const gone of [INSTALLED.programFolder, INSTALLED.link, INSTALLED.cacheFolder]) {
        assert.equal((await machine.run("test", "-e", gone)).code, 1, gone);
      }
      await machine.output("test", "-f", INSTALLED.config, "-a", "-f", INSTALLED.identity);
      assert.equal(await scene.property("LoadState"), "not-found");
    },

    "installed again it is the same node, and runs as before": async (scene) => {
      const nodes = scene.controlPlane.nodes.length;
      const { code, stdout } = await apt(scene, "install", `${BUNDLES}/first.deb`);
      assert.equal(code, 0, stdout);
      await runs(scene, VERSION);
      assert.equal(await scene.property("UnitFileState"), "enabled");
      assert.equal(scene.controlPlane.nodes.length, nodes);
    },

    "purged, nothing is left but the user": async (scene) => {
      const purged = await apt(scene, "purge", "noderax-agent");
      tell(`\n# apt-get purge noderax-agent\n${shown(purged)}`);
      assert.equal(purged.code, 0);
      await nothingNew(scene, pristine, STAYS);
      assert.equal((await scene.machine.run("dpkg", "--status", "noderax-agent")).code, 1);
      assert.equal(await scene.property("LoadState"), "not-found");
    },
  };
}

/** Requires that a task is untouched, and ends it. */
export async function endsWhole(scene: Scene, { taskId, living }: EndlessTask): Promise<void> {
  assert.equal(await living(), 2);
  scene.controlPlane.cancelTask(taskId, "enough");
  assert.equal((await scene.ended(taskId)).status, "cancelled");
  assert.equal(await living(), 0);
}

const DONE: Ran = { code: 0, stdout: "", stderr: "" };

/** Runs apt-get without anybody to ask. */
export function apt({ machine }: Scene, ...args: string[]): Promise<Ran> {
  return machine.run("apt-get", "-y", "-q", "-o", "Dpkg::Use-Pty=0", ...args);
}

/** What a program has printed. */
export function shown({ stdout, stderr }: Ran): string {
  return stdout + stderr;
}

/** Waits until the service has restarted as this version, and is well. */
export async function runs(scene: Scene, version: string): Promise<void> {
  await scene.until(`an agent ${version}`, async () => {
    const { code, stdout } = await scene.agent("status", "--json");
    return code === 0 && JSON.parse(stdout).agent?.version === version;
  });
  await scene.well();
}

async function dpkgVerifies({ machine }: Scene): Promise<string> {
  return (await machine.run("dpkg", "--verify", "noderax-agent")).stdout.trim();
}
