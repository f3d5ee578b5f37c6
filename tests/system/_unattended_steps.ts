import assert from "node:assert/strict";
import * as z from "@zod/zod";
import { INSTALLED, SERVICE, SERVICE_USER } from "../../src/system/paths.ts";
import { tell } from "../_together.ts";
import { eventually, PATIENCE_MS } from "../_processes.ts";
import type { Machine, Ran } from "./_machine.ts";
import { assertShown } from "./_sample.ts";
import { BUNDLES, type Scene, type Steps } from "./_scene.ts";

export const OLD_PROGRAM = "#!/bin/sh\nexec sleep 100000\n";
export const OLD_UNIT = `[Service]
User=${SERVICE_USER}
ExecStart=${INSTALLED.program} run
Restart=always
[Install]
WantedBy=multi-user.target
`;
/** What the agent 1.x has on a machine, as far as it matters here. */
export const INSTALL_OLD = `set -e
useradd --system --home-dir ${INSTALLED.stateFolder} --shell /usr/sbin/nologin ${SERVICE_USER}
install -d ${INSTALLED.programFolder} ${INSTALLED.configFolder}
install -d -o ${SERVICE_USER} ${INSTALLED.stateFolder}
printf %s "$1" >${INSTALLED.program}
chmod 755 ${INSTALLED.program}
ln -s ${INSTALLED.program} ${INSTALLED.link}
printf %s "$2" >${INSTALLED.unit}
printf %s "$3" >${INSTALLED.config}
chmod 640 ${INSTALLED.config}
systemctl enable --now --quiet ${SERVICE}`;

/** What its later releases have beside that: they run as their user, who owns all of it. */
const INSTALL_LATER = `${INSTALL_OLD}
install -d /usr/local/libexec
for name in self-update root-profile package-mutation operational-log-scan task-root
do printf '#!/bin/sh\\n' >/usr/local/libexec/noderax-agent-$name
done
echo '${SERVICE_USER} ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/noderax-agent
echo '# off' >/etc/sudoers.d/noderax-agent-root-access
echo 'daemon ALL=(ALL) ALL' >/etc/sudoers.d/ops
chmod 440 /etc/sudoers.d/*
chown -R ${SERVICE_USER}: ${INSTALLED.programFolder} ${INSTALLED.configFolder} ${INSTALLED.stateFolder}`;

const progress = z.object({
  token: z.string(),
  stage: z.string(),
  status: z.string().optional(),
  progressPercent: z.int().optional(),
});

/** An installation without anybody there, and its removal. */
export function unattendedSteps(): Steps {
  let pristine: string[] = [];
  return {
    "an installation with a wrong token fails, says so to both sides, and leaves nothing": async (
      scene,
    ) => {
      pristine = await filesOf(scene);
      const { code, stdout, stderr } = await install(scene, "f".repeat(64));
      tell(`\n# install with a wrong token\n${stdout}${stderr}`);
      assert.equal(code, 1);
      assert.doesNotMatch(stdout + stderr, /ffff|^\s+at /m);
      assert.equal(progressOf(scene, "f".repeat(64)).at(-1)?.stage, "failed");
      await cleanedUp(scene);
      await nothingNew(scene, pristine);
    },

    "with a bootstrap token it asks nothing and tells its stages": async (scene) => {
      const token = scene.addInstall();
      const { code, stdout, stderr } = await install(scene, token);
      tell(
        `\n# noderax-agent-….run install --non-interactive --api-url … --bootstrap-token … --log-level info\n${stdout}${stderr}`,
      );
      assert.equal(code, 0);
      await assertShown("./noderax-agent-", stdout);
      assert.ok(!(stdout + stderr).includes(token));
      const told = progressOf(scene, token);
      assert.deepEqual(told.map(({ stage }) => stage), [
        "installer_started",
        "dependencies_installing",
        "dependencies_ready",
        "service_user_ready",
        "binary_download_started",
        "binary_downloaded",
        "agent_bootstrapping",
        "service_started",
      ]);
      assert.equal(told.at(-1)?.status, "completed");
      const percents = told.map(({ progressPercent = 0 }) => progressPercent);
      assert.deepEqual(percents, percents.toSorted((a, b) => a - b));
      await cleanedUp(scene);
      await scene.well();
      assert.equal(await scene.output("id -un"), SERVICE_USER);
      assert.ok((await newFilesOf(scene, pristine)).includes(INSTALLED.program));
    },

    "uninstall --purge leaves nothing": async (scene) => {
      const asked = await scene.agent("uninstall", "--purge");
      tell(
        `\n# noderax-agent uninstall --purge     (nobody to ask)\n${asked.stdout}${asked.stderr}`,
      );
      assert.equal(asked.code, 2);
      assert.match(asked.stdout, /^This deletes for good:\n {2}\/etc\/noderax-agent\n/);
      const { code, stdout, stderr } = await scene.agent("uninstall", "--purge", "--yes");
      tell(`\n# noderax-agent uninstall --purge --yes\n${stdout}${stderr}`);
      assert.equal(code, 0);
      await nothingNew(scene, pristine);
      const { machine } = scene;
      assert.equal((await machine.run("getent", "passwd", SERVICE_USER)).stdout, "");
      assert.equal((await machine.run("pgrep", "-f", "noderax")).stdout, "");
      const units = ["systemctl", "list-units", "--all", "-q", "*noderax*"];
      await scene.until("the end of all units", async () => await machine.output(...units) === "");
    },

    "it takes the place of an agent 1.x": async (scene) => {
      const { machine, controlPlane } = scene;
      const { nodeId, agentToken } = controlPlane.addNode();
      const config = { api_url: controlPlane.url, node_id: nodeId, agent_token: agentToken };
      const contents = [OLD_PROGRAM, OLD_UNIT, JSON.stringify(config)];
      await machine.output("sh", "-c", INSTALL_OLD, "sh", ...contents);
      await machine.output(`${BUNDLES}/first/noderax-agent`, "install", "--non-interactive");
      await scene.well();
      assert.equal(scene.node.nodeId, nodeId);
      assert.equal(await scene.output("id -un"), SERVICE_USER);
      assert.equal(await machine.output("stat", "-c", "%a", INSTALLED.config), "600");
      assert.equal((await machine.run("pgrep", "-fx", "sleep 100000")).stdout, "");
      assert.match(await machine.output("getent", "passwd", SERVICE_USER), /:\/home\/noderax:/);
      assert.equal((await scene.agent("uninstall", "--purge", "--yes")).code, 0);
      assert.equal((await machine.run("getent", "passwd", SERVICE_USER)).stdout, "");
      const left = "ls -d /*/noderax-agent* /var/lib/noderax-agent* /home/noderax";
      assert.equal((await machine.run("sh", "-c", left)).stdout, "");
    },

    "it takes the place of later ones in Go, whose ways to root go": async (scene) => {
      const { machine, controlPlane } = scene;
      const { nodeId, agentToken } = controlPlane.addNode();
      const config = {
        api_url: "https://elsewhere.example.com",
        node_id: nodeId,
        agent_token: agentToken,
        heartbeat_interval: "20s",
        realtime_ping_interval: "2s",
        state_file: INSTALLED.identity,
        log_level: "info",
      };
      const contents = [OLD_PROGRAM, OLD_UNIT, JSON.stringify(config)];
      await machine.output("sh", "-c", INSTALL_LATER, "sh", ...contents);
      assert.equal(
        await machine.output("runuser", "-u", SERVICE_USER, "--", "sudo", "id", "-un"),
        "root",
      );
      const program = `${BUNDLES}/first/noderax-agent`;
      const refused = await machine.run(program, "install", "--non-interactive");
      tell(`\n# install --non-interactive     (over an agent in Go)\n${refused.stderr}`);
      assert.equal(refused.code, 2);
      assert.match(refused.stderr, /config\.json is not trusted, because .* needs --api-url/);
      assert.equal(await scene.property("ActiveState"), "active");

      const flags = ["--api-url", controlPlane.url, "--bootstrap-token", "f".repeat(64)];
      const level = ["--log-level", "warn"];
      const { code, stdout, stderr } = await machine.run(
        program,
        ...["install", "--non-interactive", ...flags, ...level],
      );
      tell(`\n# install --non-interactive --api-url …\n${stdout}${stderr}`);
      assert.equal(code, 0);
      await scene.well();
      assert.equal(scene.node.nodeId, nodeId);
      const find = "find /etc/sudoers.d /usr/local/libexec -type f ! -name README";
      assert.equal(await machine.output("sh", "-c", find), "/etc/sudoers.d/ops");
      assert.equal(await scene.output('id -un; echo "$HOME"'), `${SERVICE_USER}\n/home/noderax`);
      assert.equal((await scene.ended(scene.shell("sudo -n true"))).status, "failed");
      const saved = JSON.parse(await machine.output("cat", INSTALLED.config));
      assert.deepEqual(saved, {
        ...config,
        api_url: controlPlane.url,
        log_level: "warn",
        run_as_user: SERVICE_USER,
      });
      for (const folder of [INSTALLED.programFolder, INSTALLED.configFolder]) {
        assert.equal(await machine.output("find", folder, "!", "-user", "root"), "");
      }
    },
  };
}

/** What the platform's own installer does with one file that it fetches; its folder is removed. */
const ONE_FILE = `folder=$(mktemp -d) && cp "$0" "$folder/noderax-agent" || exit
"$folder/noderax-agent" install "$@"
code=$?
rm -r "$folder"
exit "$code"`;

export function install(
  { machine, controlPlane, bundles }: Scene,
  token: string,
): Promise<Ran> {
  const file = `${BUNDLES}/${bundles.archive}.run`;
  const flags = ["--non-interactive", "--api-url", controlPlane.url, "--bootstrap-token", token];
  return machine.run("sh", "-c", ONE_FILE, file, ...flags, "--log-level", "info");
}

/** The end of the tree that it was installed from may come a moment after that of its command. */
async function cleanedUp({ machine, until }: Scene): Promise<void> {
  // systemd makes a /tmp of its own for the service.
  const name = ["-name", "*noderax-agent*-*", "!", "-name", "systemd-private-*"];
  const find = ["find", "/var/cache", "/tmp", "-maxdepth", "1", ...name];
  await until("the end of what was unpacked", async () => await machine.output(...find) === "");
}

/** What the control plane was told of an installation, oldest first. */
function progressOf({ controlPlane }: Scene, token: string) {
  return controlPlane.requests.filter(({ path }) => path.endsWith("/node-installs/progress"))
    .map(({ body }) => progress.parse(body))
    .filter((told) => told.token === token);
}

/** All that lies on the machine, beside what lies in memory and what systemd itself writes. */
export async function filesOf({ machine }: Scene): Promise<string[]> {
  return await found(machine, "/", "-xdev", "-not", "-path", "/var/log/journal/*");
}

/** Waits until nothing is left that has come since: systemd removes what it has made in its own time. */
export async function nothingNew(
  scene: Scene,
  before: string[],
  mayStay: RegExp = /^$/,
): Promise<void> {
  let left: string[] = [];
  const look = async () => {
    left = (await newFilesOf(scene, before)).filter((path) => !mayStay.test(path));
    return left.length === 0;
  };
  const story = () => Promise.resolve(left.join("\n"));
  await eventually("the end of what has come", look, PATIENCE_MS, story);
}

/** What has come since, backups of the files of accounts left out. */
async function newFilesOf(scene: Scene, before: string[]): Promise<string[]> {
  const known = new Set(before);
  const files = [...await filesOf(scene), ...await runFilesOf(scene)];
  return files.filter((path) => !known.has(path) && !/^\/etc\/(\w+-|\.pwd\.lock)$/.test(path));
}

/** What a removed agent may have left in memory. */
async function runFilesOf({ machine }: Scene): Promise<string[]> {
  return await found(machine, "/run", "/tmp", "-name", "*noderax*");
}

/** What `find` finds, which fails where a folder goes while it looks. */
async function found(machine: Machine, ...args: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await machine.run("find", ...args);
  assert.ok(code === 0 || /^(find: .*: No such file or directory\n)+$/.test(stderr), stderr);
  return stdout.split("\n").filter((path) => path !== "");
}
