import assert from "node:assert/strict";
import * as z from "@zod/zod";
import { INSTALLED, SERVICE, SERVICE_USER } from "../../src/system/paths.ts";
import { tell } from "../_together.ts";
import type { Steps } from "./_scene.ts";

const AS_ROOT = { runAsRoot: true, rootScope: "operational" };
const LogScan = z.object({
  entries: z.array(z.object({
    message: z.string(),
    timestamp: z.string().optional(),
    unit: z.string().optional(),
  })).default([]),
  cursor: z.unknown().optional(),
});

/** What an installed agent does for its operators, and what the machine shows of it. */
export const LIFE_STEPS: Steps = {
  "its files have the owners and modes they should have": async ({ machine }) => {
    const wanted = {
      [INSTALLED.programFolder]: "755 root:root directory",
      [INSTALLED.program]: "755 root:root regular file",
      [INSTALLED.link]: "777 root:root symbolic link",
      [INSTALLED.configFolder]: "755 root:root directory",
      [INSTALLED.config]: "600 root:root regular file",
      [INSTALLED.stateFolder]: "700 root:root directory",
      [INSTALLED.identity]: "600 root:root regular file",
      [INSTALLED.runtimeFolder]: "700 root:root directory",
      [`${INSTALLED.runtimeFolder}/agent.sock`]: "600 root:root socket",
      [INSTALLED.unit]: "644 root:root regular file",
    };
    const stat = await machine.output("stat", "-c", "%n\t%a %U:%G %F", ...Object.keys(wanted));
    assert.deepEqual(Object.fromEntries(stat.split("\n").map((line) => line.split("\t"))), wanted);
    const foreign = ["(", "!", "-user", "root", "-o", "-perm", "/022", ")", "!", "-type", "l"];
    assert.equal(await machine.output("find", INSTALLED.programFolder, ...foreign), "");
    assert.equal(await machine.output("readlink", INSTALLED.link), INSTALLED.program);
  },

  "systemd has nothing to say against its unit": async ({ machine }) => {
    const verified = await machine.run("systemd-analyze", "verify", SERVICE);
    assert.deepEqual(verified, { code: 0, stdout: "", stderr: "" });
    const enabled = await machine.output("systemctl", "is-enabled", SERVICE);
    assert.equal(enabled, "enabled");
  },

  "doctor finds nothing to fix": async (scene) => {
    const { stdout } = await scene.says(({ code }) => code === 0, "doctor");
    tell(`\n# noderax-agent doctor\n${stdout}`);
    assert.match(stdout, /^ok +temp folder +\/var\/lib\/noderax-agent\/tmp: programs/m);
  },

  "log scans read its journal by cursors, and a file of root's by the profile": async (scene) => {
    const { machine, controlPlane } = scene;
    const scan = async (payload: Record<string, unknown>) => {
      const request = { mode: "preview", sourcePresetId: "noderax-agent", ...AS_ROOT, ...payload };
      const queued = controlPlane.queueTask({ type: "log.scan", payload: request });
      const { completion } = await scene.ended(queued);
      return { error: completion?.error, result: LogScan.parse(completion?.result ?? {}) };
    };
    const { result: { entries, cursor } } = await scan({});
    const started = entries.find(({ message }) => message.includes("agent started"));
    assert.equal(started?.unit, SERVICE);
    assert.ok(entries.every(({ timestamp }) => timestamp?.endsWith("Z")));
    await machine.output("systemctl", "reload", SERVICE);
    const more = await scene.until("a line of the reload in the journal", async () => {
      const { result } = await scan({ mode: "monitor", cursor });
      return result.entries.length > 0 ? result.entries : undefined;
    });
    const known = new Set(entries.map((entry) => JSON.stringify(entry)));
    assert.ok(more.every((entry) => !known.has(JSON.stringify(entry))));
    await machine.output("sh", "-c", "umask 077; echo root alone >/var/log/auth.log");
    const auth = { sourcePresetId: "auth.log" };
    const denied = await scan({ ...auth, runAsRoot: false });
    assert.match(denied.error ?? "", /auth\.log cannot be read: Permission denied/);
    assert.equal((await scan(auth)).result.entries.at(-1)?.message, "root alone");
    await machine.output("sh", "-c", `echo '${JSON.stringify({ mode: "preview", ...auth })}' >/r`);
    const printed = JSON.parse(await scene.tells("log-scan", "--request", "/r"));
    assert.equal(LogScan.parse(printed).entries.at(-1)?.message, "root alone");
  },

  "tasks run as its user, those for root as root, and none has the agent's variables": async (
    scene,
  ) => {
    const script =
      "cd; id -un; pwd; env | cut -d= -f1 | grep -E '^(DENO|INVOCATION|JOURNAL|NOTIFY|SYSTEMD)|DIRECTORY$|TOKEN'; " +
      'file=$(mktemp) && dirname "$file"';
    const output = await scene.output(script);
    assert.deepEqual(output.split("\n"), [SERVICE_USER, `/home/${SERVICE_USER}`, "/tmp"]);
    const rootOutput = await scene.output(script, { runAsRoot: true, rootScope: "task" });
    assert.deepEqual(rootOutput.split("\n"), ["root", "/root", "/tmp"]);
  },

  "packages are listed, found, installed and purged": async (scene) => {
    const task = async (type: string, payload: Record<string, unknown> = {}) => {
      const ended = await scene.ended(scene.controlPlane.queueTask({ type, payload }));
      assert.equal(ended.status, "success", `${type}: ${JSON.stringify(ended.completion)}`);
      return JSON.stringify(ended.result);
    };
    const hello = { names: ["hello"], packages: ["hello"], package: "hello" };
    assert.match(await task("packageList"), /"name":"systemd"/);
    assert.match(await task("packageSearch", { query: "hello", term: "hello" }), /"name":"hello"/);
    await task("packageInstall", hello);
    assert.equal(await scene.output("hello"), "Hello, world!");
    await task("packagePurge", hello);
    assert.equal((await scene.machine.run("hello")).code, 127);
  },

  "terminals open, for its user and for root": async ({ controlPlane: { realtime } }) => {
    for (const [runAsRoot, user] of [[false, SERVICE_USER], [true, "root"]] as const) {
      const terminal = realtime.openTerminal({ cols: 100, rows: 30, runAsRoot });
      await terminal.waitFor(({ status }) => status === "open");
      terminal.input("echo I am $(id -un) on $(stty size) with $(tty)\n");
      await terminal.waitForText(new RegExp(`I am ${user} on 30 100 with /dev/pts/`));
      terminal.input("exit 3\n");
      await terminal.waitFor(({ exited }) => exited);
      assert.equal(terminal.exited?.exitCode, 3);
    }
  },
};
