import assert from "node:assert/strict";
import { join } from "@std/path";
import { TestMachine } from "../install/_test_machine.ts";
import { lockInstallation } from "../install/machine.ts";
import type { UpdateProgress } from "../control_plane/schemas.ts";
import { runTool } from "../system/tool.ts";
import { makeRelease, ReleaseKey } from "./_test_release.ts";
import { update } from "./update.ts";
import { readUpdateRecord } from "./update_record.ts";
import { UpdateReporter } from "./update_reporter.ts";

const KEY = new ReleaseKey();

/** Updates a machine to 99.0.0, whose service does not restart; gives what has come of it. */
async function updated(invocations: string[], spoil = async (_machine: TestMachine) => {}) {
  await using machine = await TestMachine.make();
  const { places } = machine;
  const source = join(machine.root, "releases");
  await makeRelease(source, "99.0.0", KEY);
  await Deno.mkdir(places.programFolder, { recursive: true });
  await Deno.writeTextFile(places.program, "the old one");
  await Deno.mkdir(places.stateFolder);
  Object.defineProperty(machine.answers, "systemctl show", {
    enumerable: true,
    get: () => ({
      stdout: `LoadState=loaded\nInvocationID=${
        machine.calls.some((call) => call.includes(" restart ")) ? invocations[1] : invocations[0]
      }`,
    }),
  });
  machine.answers["systemctl restart"] = { code: 1, stderr: "Job failed." };
  await spoil(machine);
  const told: UpdateProgress[] = [];
  const api = {
    updateProgress: (_id: string, progress: UpdateProgress) => {
      told.push(progress);
      return Promise.resolve();
    },
  };
  const warnings: string[] = [];
  const run: typeof machine.run = (program, ...args) =>
    args[0] === "version" ? runTool(program, ...args) : machine.run(program, ...args);
  const request = { targetId: "a", targetVersion: "99.0.0", rollback: false };
  const error = await update({ places, run, cgroups: machine.cgroups }, request, {
    config: { updateSource: source, updatePublicKey: KEY.text },
    stateFolder: places.stateFolder,
    reporter: new UpdateReporter(api, "a", (text) => warnings.push(text)),
    sockets: [],
    print: () => {},
    warn: (text) => warnings.push(text),
    signal: new AbortController().signal,
    proof: { limitMs: 10, provesMs: 5, intervalMs: 5 },
  }).then(() => "", (error: Error) => error.message);
  assert.equal(await Deno.readTextFile(places.program), "the old one");
  const left = await Array.fromAsync(Deno.readDir(join(machine.root, "opt")));
  assert.deepEqual(left.map(({ name }) => name), ["noderax-agent"]);
  const { rolledBack, last } = await readUpdateRecord(places.stateFolder);
  return { error, told, warnings, failed: rolledBack.map(({ version }) => version), last };
}

const NEEDS_ROOT = { ignore: Deno.uid() !== 0 };

Deno.test(
  "an update remembers as failed only what was started (needs root)",
  NEEDS_ROOT,
  async () => {
    const started = await updated(["a", "b"]);
    assert.match(started.error, /99\.0\.0 does not start: .*Job failed/);
    assert.deepEqual(started.failed, ["99.0.0"]);
    assert.equal(started.told.at(-1)?.status, "failed");
    assert.deepEqual([started.warnings, started.last?.closed], [[], true]);
    const draining = await updated(["a", "a"]);
    assert.match(draining.error, /99\.0\.0 does not start: /);
    assert.deepEqual(draining.failed, []);
  },
);

Deno.test(
  "a record that cannot be saved hides no cause (needs root)",
  NEEDS_ROOT,
  async () => {
    const { error, warnings } = await updated(["a", "b"], async ({ places }) => {
      await Deno.remove(places.stateFolder);
      await Deno.writeTextFile(places.stateFolder, "no folder");
    });
    assert.match(error, /99\.0\.0 does not start: /);
    assert.match(warnings[0] ?? "", /^what is remembered of updates is not saved: /);
  },
);

Deno.test(
  "a second update is refused and told, and touches nothing of the first (needs root)",
  NEEDS_ROOT,
  async () => {
    let lock: AsyncDisposable | undefined;
    const { error, told, last } = await updated(["a", "b"], async ({ places }) => {
      lock = await lockInstallation(places);
    });
    await using _lock = lock;
    assert.match(error, /by another process: wait for its end\.$/);
    assert.deepEqual(told.map(({ status, message }) => [status, message]), [["failed", error]]);
    assert.equal(last, undefined);
  },
);
