import assert from "node:assert/strict";
import { INSTALLED, SERVICE } from "../../src/system/paths.ts";
import { tell } from "../_together.ts";
import type { Scene, Steps } from "./_scene.ts";

/** Shows what `status` and `doctor` say of a state, once the verdict fits; gives both texts. */
async function shows(scene: Scene, state: string, verdict: RegExp): Promise<string> {
  const checked = await scene.until(`the verdict of: ${state}`, async () => {
    const { stdout } = await scene.agent("status", "--check");
    return verdict.test(stdout) ? stdout : undefined;
  });
  const [status, doctor] = [await scene.agent("status"), await scene.agent("doctor")];
  tell(
    `\n##### ${state}\n# noderax-agent status --check\n${checked}` +
      `\n# noderax-agent status     (exit code ${status.code})\n${status.stdout}${status.stderr}` +
      `\n# noderax-agent doctor     (exit code ${doctor.code})\n${doctor.stdout}${doctor.stderr}`,
  );
  return status.stdout + doctor.stdout;
}

/** What `status` and `doctor` say of an agent that is healthy, and of one that is not. */
export const STATE_STEPS: Steps = {
  "status and doctor: healthy, and to a plain user": async (scene) => {
    await shows(scene, "healthy", /^healthy$/m);
    const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    for (const command of ["status", "doctor", "logs"]) {
      const said = await scene.machine.run(...nobody, "noderax-agent", command);
      tell(`\n##### plain user\n# noderax-agent ${command}\n${said.stdout}${said.stderr}`);
      assert.match(said.stdout + said.stderr, new RegExp(`sudo noderax-agent ${command}`));
    }
  },

  "status and doctor: no network": async (scene) => {
    await scene.controlPlane.stop();
    const text = await shows(scene, "no network", /^unhealthy: the control plane does not answer/m);
    assert.match(text, /fix: .*sudo noderax-agent doctor/);
    await scene.controlPlane.start();
    await scene.well();
  },

  "status and doctor: a deleted node, at the first refusal": async (scene) => {
    const { controlPlane } = scene;
    controlPlane.deleteNode(scene.node.nodeId);
    const text = await shows(
      scene,
      "deleted node",
      /^unhealthy: .*refuses this node's credentials/m,
    );
    assert.match(text, /fix: if the node was deleted: sudo noderax-agent enroll --again/);
    const enrolling = scene.agent("enroll", "--again", "--email", "admin@example.com");
    const enrollment = await controlPlane.waitFor(
      () => controlPlane.enrollments.find(({ status }) => status === "pending"),
      { what: "the enrollment" },
    );
    controlPlane.approve(enrollment.token);
    const { stdout } = await enrolling;
    tell(`\n# noderax-agent enroll --again --email admin@example.com\n${stdout}`);
    assert.match(stdout, /\nNow restart the agent with `sudo noderax-agent restart`\.\n$/);
    await scene.tells("restart");
    await scene.well();
  },

  "status and doctor: a wrong address, which has to be forced": async (scene) => {
    const wrong = ["config", "set", "api_url", "http://127.0.0.1:2"];
    const refused = await scene.agent(...wrong, "--restart");
    tell(`\n# noderax-agent ${wrong.join(" ")} --restart\n${refused.stdout}${refused.stderr}`);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /Nothing was changed/);
    await scene.tells(...wrong, "--force", "--no-restart");
    const kept = await scene.agent("restart");
    tell(`\n# noderax-agent restart\n${kept.stdout}${kept.stderr}`);
    assert.equal(kept.code, 1);
    await scene.well();
    await scene.tells("restart", "--force");
    await shows(scene, "wrong address", /^unhealthy: the control plane does not answer/m);
    await scene.tells("config", "set", "api_url", scene.controlPlane.url, "--restart");
    await scene.well();
  },

  "status and doctor: a full disk": async (scene) => {
    const { machine } = scene;
    const folder = INSTALLED.stateFolder;
    await scene.tells("stop");
    await machine.output(
      "sh",
      "-c",
      `cp -a ${folder} /root/state && mount -t tmpfs -o size=8m,mode=0700 tmpfs ${folder} &&
        cp -a /root/state/. ${folder}`,
    );
    await scene.tells("start");
    await scene.well();
    await machine.run("sh", "-c", `cat /dev/zero >${folder}/ballast`);
    const text = await shows(scene, "full disk", /^degraded: the disk of \S+ is full/m);
    assert.match(text, /free some space/);
    assert.doesNotMatch(text, /mount it/);
    await machine.output("rm", `${folder}/ballast`);
    await scene.well();
    await scene.tells("stop");
    await machine.output("umount", folder);
  },

  "status and doctor: stopped": async (scene) => {
    await scene.tells("stop");
    await scene.machine.output("journalctl", "--sync");
    const text = await shows(scene, "stopped", /^unhealthy: the service is stopped \(fix: sudo /m);
    assert.match(text, /^Last log .*agent stopped|^ .*agent stopped/m);
  },

  "status and doctor: a crash loop": async (scene) => {
    const { machine } = scene;
    await machine.output("cp", "-p", INSTALLED.config, "/root/config.json");
    await machine.output(
      "sed",
      "-i",
      's/"api_url"/"task_timeout": "long",\\n  "api_url"/',
      INSTALLED.config,
    );
    const { code } = await scene.agent("start");
    assert.equal(code, 1);
    const text = await shows(scene, "crash loop", /again and again.* last exit: exit code 1/m);
    // How many lines were before that depends on when it is asked.
    assert.match(text, /^Last log (?:.*\n )*.*task_timeout is "long"/m);
    // Else it could be told of a start that has read the wrong one already.
    await scene.tells("stop");
    await machine.output("mv", "/root/config.json", INSTALLED.config);
    await scene.tells("start");
    await scene.well();
  },

  "`journalctl -p` knows what is grave": async (scene) => {
    const grave = ["journalctl", "-u", SERVICE, "-o", "cat", "-p"];
    const [all, warnings] = [
      await scene.machine.output(...grave, "debug"),
      await scene.machine.output(...grave, "warning"),
    ];
    assert.match(all, /"level":"info"/);
    assert.match(warnings, /"level":"(warn|error)"/);
    assert.doesNotMatch(warnings, /"level":"info"/);
  },
};
