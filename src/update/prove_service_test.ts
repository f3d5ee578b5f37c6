import assert from "node:assert/strict";
import { TestMachine } from "../install/_test_machine.ts";
import { Undos } from "../install/steps.ts";
import { type ProofOptions, provenService, requireServing } from "./prove_service.ts";

/** Waits for version 2.1.0 while systemd says `states`, the last of them for ever. */
async function proof(
  states: string[],
  { status = () => ({ version: "2.1.0", pid: 7 }), ...options }:
    & Partial<ProofOptions>
    & { status?: () => unknown } = {},
): Promise<void> {
  await using machine = await TestMachine.make();
  Object.defineProperty(machine.answers, "systemctl show", {
    enumerable: true,
    get: () => ({ stdout: states.length > 1 ? states.shift() : states[0] }),
  });
  await requireServing(machine, {
    version: "2.1.0",
    sockets: ["/run/noderax-agent/agent.sock"],
    ask: () => Promise.resolve({ outcome: "answered", ok: true, text: JSON.stringify(status()) }),
    limitMs: 30,
    provesMs: 15,
    intervalMs: 5,
    ...options,
  });
}

const state = (active: string, sub: string, pid: number) =>
  `LoadState=loaded\nActiveState=${active}\nSubState=${sub}\nMainPID=${pid}`;
const RUNS = state("active", "running", 7);

Deno.test("a version proves itself by running and serving for a while, whoever else is away", async () => {
  await proof([RUNS], { limitMs: 5_000 });
  await proof([state("activating", "auto-restart", 0), RUNS], { limitMs: 5_000 });
});

Deno.test("a version that does not serve is told apart from one that does", async () => {
  const cases: [string[], Parameters<typeof proof>[1], RegExp][] = [
    [[state("failed", "failed", 0)], {}, /did not serve within 0.03 s: .* is failed \(failed\)/],
    [
      [RUNS],
      { ask: () => Promise.resolve({ outcome: "down" }) },
      /the agent does not answer on its socket/,
    ],
    [[RUNS], { status: () => ({ version: "2.0.0", pid: 7 }) }, /version 2\.0\.0 runs/],
    [[RUNS], { status: () => "no status" }, /the agent's answer cannot be read/],
    [[RUNS], { status: () => ({ version: "2.1.0", pid: 8 }) }, /process 8 serves in place of/],
  ];
  for (const [states, options, message] of cases) {
    await assert.rejects(proof(states, options), { name: "UserError", message });
  }
});

Deno.test("a version that is started again and again proves nothing", async () => {
  let pid = 0;
  const states = Array.from({ length: 1_000 }, (_, at) => state("active", "running", at + 1));
  const restarted = proof(states, { status: () => ({ version: "2.1.0", pid: ++pid }) });
  await assert.rejects(restarted, /did not serve within 0\.03 s: it is started again and again/);

  const failing = `${RUNS}\nNRestarts=3`;
  const early = proof([failing], { limitMs: 60_000, provesMs: 50_000 });
  await assert.rejects(early, { message: "2.1.0 ended 3 times." });
});

Deno.test("a wait for a version can be interrupted", async () => {
  const interruption = new AbortController();
  interruption.abort(new Error("Interrupted."));
  const waiting = proof([RUNS], { signal: interruption.signal, limitMs: 60_000, provesMs: 50_000 });
  await assert.rejects(waiting, /Interrupted/);
});

Deno.test("a version whose start was never come to is told apart from one that does not start", async () => {
  for (const [invocation, expected] of [["a", false], ["b", true]] as const) {
    await using machine = await TestMachine.make();
    const invocations = ["a", invocation];
    Object.defineProperty(machine.answers, "systemctl show", {
      enumerable: true,
      get: () => ({ stdout: `${RUNS}\nInvocationID=${invocations.shift() ?? ""}` }),
    });
    machine.answers["systemctl restart"] = { code: 1, stderr: "Job failed." };
    let isStarted = false;
    const { thrown } = await machine.take(provenService(machine, {
      version: "2.1.0",
      sockets: [],
      onRestarting: () => Promise.resolve(),
      onStarted: () => isStarted = true,
      onRestarted: () => Promise.reject(new Error("It was not restarted.")),
    }));
    assert.match(String(thrown), /2\.1\.0 does not start: .*Job failed/);
    assert.equal(isStarted, expected);
  }
});

Deno.test("a restart that takes its hours can be interrupted", async () => {
  await using machine = await TestMachine.make();
  const interruption = new AbortController();
  const run: typeof machine.run = async (program, ...args) => {
    if (args[0] !== "restart") return await machine.run(program, ...args);
    interruption.abort(new Error("Interrupted."));
    return await new Promise(() => {});
  };
  const step = provenService({ ...machine, run }, {
    version: "2.1.0",
    sockets: [],
    signal: interruption.signal,
    onRestarting: () => Promise.resolve(),
    onStarted: () => assert.fail(),
    onRestarted: () => Promise.resolve(),
  });
  await assert.rejects(step.run(new Undos(), true), /Interrupted/);
});
