import assert from "node:assert/strict";
import { startControlPlane } from "../../scripts/dev/control_plane.ts";
import { SERVICE_USER } from "../../src/system/paths.ts";
import { killIfThere } from "../_processes.ts";
import type { Bundles } from "./_bundles.ts";

const CONTAINERFILE = new URL("../../scripts/fleet/Containerfile", import.meta.url);
const PACKAGE = "/srv/package";

/**
 * Does in a container without systemd what the container file says, up to its command, and has the
 * agent enroll and run a task there, as the image's user and without any privilege.
 */
export async function runImage(rootFolder: string, bundles: Bundles): Promise<void> {
  const { instructions, environment } = await readContainerfile();
  await using controlPlane = await startControlPlane({ claimsOutliveCallers: false });
  const agent = "/opt/noderax-agent/noderax-agent";
  const variables = [...environment, `NODERAX_API_URL=${controlPlane.url}`, "HOME=/home/noderax"];
  const unprivileged = "setpriv --reuid=noderax --regid=noderax --clear-groups --no-new-privs " +
    `--bounding-set=-all env ${variables.join(" ")}`;
  const script = [
    "set -e",
    ...instructions,
    `cd /home/${SERVICE_USER}`,
    `${unprivileged} ${agent} enroll --email admin@example.com`,
    `exec ${unprivileged} ${agent} run`,
  ].join("\n");
  const options = ["--register=no", "--keep-unit", "--as-pid2", "--pipe", "--volatile=overlay"];
  const container = new Deno.Command("systemd-nspawn", {
    args: [
      ...["--quiet", "-D", rootFolder, ...options, "--resolv-conf=bind-host"],
      ...[`--bind-ro=${bundles.folder}:${PACKAGE}`, "/bin/sh", "-c", script],
    ],
    // Others may boot the same folder.
    env: { SYSTEMD_NSPAWN_LOCK: "0" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const texts = Promise.all(
    [container.stdout, container.stderr].map((it) => new Response(it).text()),
  );
  try {
    const ended = texts.then((shown) => {
      throw new Error(`the container has ended: ${shown.join("")}`);
    });
    const enrollment = controlPlane.waitFor(
      () => controlPlane.enrollments.find(({ status }) => status === "pending"),
      { what: () => "an enrollment" },
    );
    controlPlane.approve((await Promise.race([enrollment, ended])).token);
    const command = 'id -un; [ -w /etc/passwd ] || echo "no privilege"';
    const id = controlPlane.queueTask({ type: "shell.exec", payload: { command } });
    const done = controlPlane.waitForTask(id, ["success", "failed"]);
    await Promise.race([done, ended]);
    assert.equal(controlPlane.streamText(id, "stdout"), `${SERVICE_USER}\nno privilege`);
  } finally {
    // It may have ended by itself.
    killIfThere(container.pid, "SIGTERM");
    await container.status;
    await texts;
  }
}

/** What the container file has done while the image is built, and the environment that it sets. */
async function readContainerfile() {
  const text = (await Deno.readTextFile(CONTAINERFILE)).replaceAll("\\\n", "");
  const instructions: string[] = [];
  const environment: string[] = [];
  for (const [, word, rest = ""] of text.matchAll(/^([A-Z]+) (.+)$/gm)) {
    if (word === "COPY") instructions.push(rest.replace("${PACKAGE}", `cp ${PACKAGE}/first.deb`));
    if (word === "RUN") instructions.push(rest);
    if (word === "ENV") environment.push(rest);
  }
  return { instructions, environment };
}
