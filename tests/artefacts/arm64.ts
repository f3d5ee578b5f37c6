/**
 * The arm64 bundle under qemu's user emulation: `deno task test:artefacts`. Where there is no qemu
 * with arm64's C library, its name says so, and nothing is tested.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "@std/path";
import { ReleaseTree } from "../../scripts/_release_tree.ts";
import { targetOf } from "../../scripts/_target.ts";
import { isThere } from "../../src/install/machine.ts";
import { NAME } from "../../src/system/paths.ts";
import { runTool } from "../../src/system/tool.ts";
import { AgentProcess, Fleet } from "../_agent.ts";
import { agentCommand } from "../_command.ts";
import { ms } from "../_figures.ts";
import { tell } from "../_together.ts";

/** Where Debian's package libc6-arm64-cross has the C library, as libgcc-s1-arm64-cross has its own. */
const LIBRARIES = "/usr/aarch64-linux-gnu";
/** An emulated start takes a hundred times as long. */
const LIMIT_MS = 10 * 60_000;

/** Why this machine cannot emulate; undefined if it can. */
async function whyNot(): Promise<string | undefined> {
  const { code } = await runTool("qemu-aarch64", "--version");
  if (code !== 0) return "there is no qemu-aarch64: package qemu-user";
  const missing = ["libc.so.6", "libgcc_s.so.1"].map((name) => join(LIBRARIES, "lib", name));
  for (const path of missing) {
    if (!await isThere(path)) {
      return `there is no ${path}: packages libc6-arm64-cross and libgcc-s1-arm64-cross`;
    }
  }
  return undefined;
}

const why = await whyNot();

Deno.test({
  name: `the arm64 bundle, emulated${why ? ` (ignored: ${why})` : ""}`,
  ignore: why !== undefined,
  async fn(t) {
    const scratch = await Deno.makeTempDir({ prefix: "arm64_" });
    try {
      await using tree = await ReleaseTree.make(targetOf("arm64"), scratch);
      const command = [join(tree.folder, NAME)];
      await emulate(join(tree.folder, "lib", "deno"));
      await using fleet = await Fleet.start({}, { leaseMs: LIMIT_MS, queueTimeoutMs: LIMIT_MS });
      const env = { NODERAX_CONFIG_FILE: fleet.configFile };
      const output = async (...args: string[]) => {
        const startedMs = performance.now();
        const { code, stdout, stderr } = await agentCommand(args, { command, env }).output();
        const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
        tell(`# ${NAME} ${args.join(" ")}     (${ms(performance.now() - startedMs)})\n${text}`);
        return { code, text };
      };

      await t.step("it tells its version", async () => {
        const { code, text } = await output("version");
        assert.equal(code, 0);
        assert.match(text, /aarch64-unknown-linux-gnu/);
      });

      await t.step("doctor comes to its end", async () => {
        const { text } = await output("doctor");
        // Emulated, its checks may not get their results within their limits.
        assert.match(text, /^(ok +config |FAIL +config +no result within )/m);
        assert.match(text, /^\d+ ok, /m);
        assert.doesNotMatch(text, /unexpected error|^\s+at /m);
      });

      await t.step("it runs a task and stops", async () => {
        const startedMs = performance.now();
        await using agent = new AgentProcess(fleet.configFile, { command });
        await agent.waitForLog("agent started", undefined, LIMIT_MS);
        tell(`agent started after ${ms(performance.now() - startedMs)}`);
        const task = await fleet.ended(fleet.shell("echo out; echo err >&2; exit 3"), LIMIT_MS);
        assert.deepEqual([task.status, task.completion?.exitCode], ["failed", 3]);
        assert.deepEqual(fleet.lines(task.id), ["out"]);
        assert.equal((await agent.stop()).code, 0);
        tell(`a task and the end after ${ms(performance.now() - startedMs)} in all`);
      });
    } finally {
      await Deno.remove(scratch, { recursive: true });
    }
  },
});

/** Nothing has to be registered with the kernel when the emulator is started by name. */
async function emulate(program: string): Promise<void> {
  await Deno.rename(program, `${program}-arm64`);
  const script = `#!/bin/sh\nexec qemu-aarch64 -L ${LIBRARIES} "$0-arm64" "$@"\n`;
  await Deno.writeTextFile(program, script, { mode: 0o755 });
}
