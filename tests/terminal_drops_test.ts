import assert from "node:assert/strict";
import { join } from "@std/path";
import { eventually, livingWith, PATIENCE_MS, textOf } from "./_processes.ts";
import {
  assertInOrder,
  authenticated,
  dropWhile,
  exited,
  gone,
  leavesWell,
  liveAgent,
  living,
  numbers,
  onLiveFleet,
  openShell,
  prompt,
  realtimeFleet,
  startLoop,
} from "./_realtime.ts";
import { untilThere } from "./_shell.ts";
import { tell, together } from "./_together.ts";

const DROPS: Record<string, () => Promise<void>> = {
  "drops at any moment lose no line of a loop and double none": () =>
    onLiveFleet(
      async (fleet) => {
        const terminals = await Promise.all([1, 2, 3].map(() => openShell(fleet)));
        const loop = "i=0; while [ ! -e stop ]; do i=$((i+1)); echo n$i; done; exit 4";
        await Promise.all(terminals.map((terminal) => startLoop(terminal, loop)));
        await dropWhile(fleet, terminals, 4);
        await Deno.writeTextFile(join(fleet.folder, "stop"), "");
        for (const terminal of terminals) {
          assert.equal((await exited(terminal))?.exitCode, 4);
          const lines = numbers(terminal);
          assert(lines.length > 1_000);
          assertInOrder(lines);
        }
      },
      {},
      { realtimeHandlerMs: () => Math.random() * 4, transcriptBytes: 1e9 },
    ),

  "an agent whose terminal is open does not wait for its turn to come back": () =>
    onLiveFleet(async (fleet, agent) => {
      const { controlPlane: cp } = fleet;
      const terminal = await openShell(fleet);
      const { id } = await authenticated(cp);
      cp.realtime.dropSockets();
      await authenticated(cp, id);
      const ended = await agent.waitForLog("realtime session ended");
      assert(Number(ended.retryInMs) <= 1_000);
      terminal.input("exit\n");
      await exited(terminal);
    }, { reconnect_spread: "10m" }),

  "a control plane that goes and comes back finds the terminal running": () =>
    onLiveFleet(async (fleet, agent) => {
      const { controlPlane: cp } = fleet;
      const terminal = await openShell(fleet);
      await startLoop(terminal, "for i in $(seq 1500); do echo n$i; sleep 0.002; done; exit 5");
      await cp.stop();
      await agent.waitForLog("realtime connection failed");
      await cp.start();
      assert.equal((await exited(terminal))?.exitCode, 5);
      assertInOrder(numbers(terminal), 1_500);
    }),

  "a shell that ends without a control plane is told of later": () =>
    onLiveFleet(async (fleet, agent) => {
      const { controlPlane: cp } = fleet;
      const terminal = await openShell(fleet);
      const silent = await openShell(fleet);
      const go = join(fleet.folder, "go");
      terminal.input(`echo re''ady; ${untilThere(go)}; seq 5000 | sed s/^/n/; exit 6\n`);
      silent.input(`echo re''ady; ${untilThere(go)}; exit 7\n`);
      for (const each of [terminal, silent]) await each.waitForText("ready\r\n");
      await cp.stop();
      await agent.waitForLog("realtime connection failed");
      await Deno.writeTextFile(go, "");
      await gone(terminal);
      await cp.start();
      assert.equal((await exited(terminal))?.exitCode, 6);
      assertInOrder(numbers(terminal), 5_000);
      assert.equal((await exited(silent))?.exitCode, 7);
    }),

  "a stop that is sent while the agent is away comes again": () =>
    onLiveFleet(async (fleet) => {
      const { controlPlane: cp } = fleet;
      const terminal = await openShell(fleet);
      const { id } = await authenticated(cp);
      cp.realtime.dropSockets();
      await cp.waitFor(() => cp.realtime.sockets.length === 0);
      terminal.stop("while away");
      await authenticated(cp, id);
      assert.equal((await exited(terminal))?.reason, "while away");
      await gone(terminal);
    }),

  "a terminal that is just being opened": () =>
    onLiveFleet(
      async (fleet, agent) => {
        const { controlPlane: cp } = fleet;
        for (let round = 0; round < 3; round++) {
          const { id } = await authenticated(cp);
          const terminal = cp.realtime.openTerminal({ cols: 0, rows: 0 });
          const { sessionId } = terminal;
          await agent.waitForLog("terminal opened", (event) => event.sessionId === sessionId);
          cp.realtime.dropSockets();
          await authenticated(cp, id);
          await prompt(terminal);
          terminal.input("exit 8\n");
          assert.equal((await exited(terminal))?.exitCode, 8);
        }
      },
      {},
      { realtimeHandlerMs: () => 20 },
    ),
};

Deno.test("a terminal outlives its socket", () => together(DROPS));

const ENDS: Record<string, () => Promise<void>> = {
  "an agent that stops ends its terminals": async () => {
    await using fleet = await realtimeFleet();
    const { controlPlane: cp } = fleet;
    await using agent = await liveAgent(fleet);
    const terminals = await Promise.all([1, 2, 3].map(() => openShell(fleet)));
    for (const terminal of terminals) {
      terminal.input("echo l''ast; setsid nohup sleep 1000 & trap '' HUP; sleep 1000\n");
      await living(terminal, 3);
    }
    const sinceMs = performance.now();
    assert.equal((await agent.stop()).code, 0);
    const tookMs = performance.now() - sinceMs;
    for (const terminal of terminals) {
      assert.equal((await exited(terminal))?.reason, "agent is stopping");
      assert.match(terminal.text, /last/);
      assert.deepEqual(await livingWith(terminal.sessionId), []);
    }
    tell(`an agent with three stubborn terminals left after ${tookMs.toFixed()} ms`);
    assert(tookMs < PATIENCE_MS, `it took ${tookMs} ms`);
    assert.deepEqual(cp.violations, []);
  },

  "also without a control plane, and in time": async () => {
    await using fleet = await realtimeFleet();
    const { controlPlane: cp } = fleet;
    await using agent = await liveAgent(fleet);
    const terminal = await openShell(fleet);
    terminal.input("yes\n");
    await terminal.waitFor(({ byteLength }) => byteLength > 100_000);
    await cp.stop();
    await agent.waitForLog("realtime connection failed");
    const sinceMs = performance.now();
    assert.equal((await agent.stop()).code, 0);
    const tookMs = performance.now() - sinceMs;
    tell(`without a control plane an agent with a terminal left after ${tookMs.toFixed()} ms`);
    assert(tookMs < PATIENCE_MS, `it took ${tookMs} ms`);
    assert.deepEqual(await livingWith(terminal.sessionId), []);
    assert.deepEqual(cp.violations, []);
  },
};

Deno.test("terminals end with their agent", () => together(ENDS));

Deno.test("terminals of an agent that was killed are answered for by the next one", async () => {
  await using fleet = await realtimeFleet();
  const { controlPlane: cp } = fleet;
  const before = await liveAgent(fleet);
  const closed = await openShell(fleet);
  const terminals = await Promise.all([1, 2].map(() => openShell(fleet)));
  closed.input("exit\n");
  await exited(closed);
  const kept = join(fleet.stateFolder, "open_terminals.json");
  await eventually(
    "a record without the terminal that has ended",
    async () => !(await textOf(kept)).includes(closed.sessionId),
  );
  await before.kill();
  assert.deepEqual(terminals.map(({ ended }) => ended), [false, false]);
  await using agent = await liveAgent(fleet);
  for (const terminal of terminals) {
    await terminal.waitFor(({ errors }) => errors.length > 0);
    assert.match(terminal.errors[0] ?? "", /^the agent was restarted, and this terminal has ended/);
  }
  const errors = () => cp.realtime.events.filter(({ event }) => event === "terminal.error");
  assert.equal(errors().length, 2, "and for no other");
  await leavesWell(fleet, agent);
  await using next = await liveAgent(fleet);
  assert.equal(errors().length, 2, "and once");
  await leavesWell(fleet, next);
});
