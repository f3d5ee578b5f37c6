import assert from "node:assert/strict";
import { delay } from "@std/async";
import { join } from "@std/path";
import { textOf } from "./_processes.ts";
import {
  assertInOrder,
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
  upTo,
} from "./_realtime.ts";
import { tell, together } from "./_together.ts";

const BASICS: Record<string, () => Promise<void>> = {
  "it opens, echoes, changes its size and ends": () =>
    onLiveFleet(async (fleet) => {
      const terminal = await openShell(fleet);
      assert.deepEqual(terminal.opened, { cols: 120, rows: 34 });
      terminal.input("stty size; echo $TERM $PAGER ${COLUMNS-none}; pwd\n");
      await terminal.waitForText(`34 120\r\nxterm-256color cat `);
      await terminal.waitForText(`${fleet.folder}\r\n`);
      terminal.resize(100, 50);
      terminal.input("stty size\n");
      await terminal.waitForText("50 100\r\n");
      terminal.resize(401, 50);
      await terminal.waitForText(/\[terminal\.resize: cols must be from 20 to 400.*\]\r\n/);
      assert.deepEqual(terminal.errors, [], "an error would end it");
      terminal.input("printf grü''n; exit 7\n");
      assert.deepEqual(await exited(terminal), { exitCode: 7, reason: "the shell exited" });
      assert.match(terminal.text, /grün/);
      await gone(terminal);

      const largest = await openShell(fleet, { cols: 400, rows: 10 });
      largest.input("stty size\n");
      await largest.waitForText("10 400\r\n");
      for (const [cols, rows] of [[19, 40], [401, 40], [80, 9], [80, 201], [80.5, 40]] as const) {
        const refused = fleet.controlPlane.realtime.openTerminal({ cols, rows });
        await refused.waitFor(({ ended }) => ended);
        assert.equal(refused.status, "failed");
        assert.match(refused.error ?? "", /(cols|rows) must be/);
      }
    }),

  "a shell that is ended by a signal says so": () =>
    onLiveFleet(async (fleet) => {
      const terminal = await openShell(fleet);
      terminal.input("kill -9 $$\n");
      const { reason } = await exited(terminal) ?? {};
      assert.equal(reason, "the shell was ended by SIGKILL");
    }),

  "what a shell prints last is never lost": () =>
    onLiveFleet(
      async (fleet) => {
        for (let round = 0; round < 5; round++) {
          await Promise.all(Array.from({ length: 10 }, async (_, i) => {
            const terminal = await openShell(fleet);
            const code = round * 10 + i;
            terminal.input(`seq 3000; printf 'la''st-${code}'; exit ${code}\n`);
            assert.equal((await exited(terminal))?.exitCode, code);
            assert.match(terminal.tail(200), new RegExp(`3000\r\nlast-${code}`));
          }));
        }
      },
      {},
      { realtimeHandlerMs: () => Math.random() * 4 },
    ),

  "a stop ends the whole tree": () =>
    onLiveFleet(async (fleet) => {
      const terminal = await openShell(fleet);
      terminal.input(
        "setsid sleep 1000 & nohup sleep 1000 >/dev/null 2>&1 & (trap '' HUP TERM; " +
          "while :; do sleep 0.1; done) & setsid nohup sh -c 'sleep 1000 & sleep 1000' & sleep 1000\n",
      );
      await living(terminal, 8);
      terminal.stop("that is enough");
      assert.equal((await exited(terminal))?.reason, "that is enough");
      await gone(terminal);
    }),

  "a stop is honoured while the shell starts": async () => {
    await using fleet = await realtimeFleet();
    await using agent = await liveAgent(fleet);
    for (const waitMs of [0, 2, 5, 10, 15, 20, 30, 60]) {
      const terminal = fleet.controlPlane.realtime.openTerminal({ cols: 80, rows: 24 });
      await delay(waitMs);
      terminal.stop();
      assert.equal((await exited(terminal))?.reason, "closed by operator");
      await gone(terminal);
    }
    // The two may cross on their ways.
    await leavesWell(fleet, agent, /"terminal.opened" after a stop/);
  },

  "a transcript that is full ends the terminal": () =>
    onLiveFleet(
      async (fleet) => {
        const terminal = await openShell(fleet);
        terminal.input("yes\n");
        assert.equal((await exited(terminal))?.reason, "transcript-overflow");
        await gone(terminal);
      },
      {},
      { transcriptBytes: 500_000 },
    ),

  "input that no program reads is left out, and the terminal stays open": () =>
    onLiveFleet(async (fleet) => {
      const terminal = await openShell(fleet);
      terminal.input(`stty raw -echo; printf re''ady; exec sleep 600\n`);
      await terminal.waitForText("ready");
      terminal.input("x".repeat(9_000_000));
      await terminal.waitForText("[the program does not read its input: some of it was left out]");
      assert.equal(terminal.status, "open");
      assert.deepEqual(terminal.errors, []);
      terminal.stop();
      await gone(terminal);
    }),

  "nonsense is answered and harms nothing": () =>
    onLiveFleet(async (fleet) => {
      const { controlPlane: { realtime }, nodeId } = fleet;
      const terminal = await openShell(fleet);
      const { sessionId } = terminal;
      const unknown = crypto.randomUUID();
      const events = ["terminal.start", "terminal.input", "terminal.resize", "terminal.stop"];
      for (const event of events) {
        for (const payload of [null, 7, "x", [], {}, { sessionId: null }, { sessionId: "x" }]) {
          realtime.send(nodeId, event, payload);
        }
      }
      const toUnknown = { sessionId: unknown, payload: "", cols: 0, rows: 0 };
      for (const event of events.slice(1)) realtime.send(nodeId, event, toUnknown);
      realtime.send(nodeId, "terminal.input", { sessionId, payload: "%%%" });
      realtime.send(nodeId, "terminal.input", { sessionId, payload: null });
      realtime.send(nodeId, "terminal.start", { sessionId, cols: 80, rows: 24 });
      await terminal.waitForText(`[terminal session ${sessionId} is open already]`);
      assert.equal(terminal.text.split("[terminal.input: payload must be base64]").length, 2);
      assert.deepEqual(terminal.errors, [], "an error would end it");
      const answers = realtime.events.filter(({ event }) => event === "terminal.error")
        .map(({ payload }) => JSON.stringify(payload)).filter((text) => text.includes(unknown));
      assert.equal(answers.length, 3);
      assert.match(answers.join(), /there is no terminal session/);
      const toStrangers = () =>
        realtime.events.filter(({ event, payload }) =>
          event === "terminal.error" && JSON.stringify(payload).includes(`"sessionId":"x"`)
        ).map(({ payload }) => JSON.stringify(payload));
      await fleet.controlPlane.waitFor(() => toStrangers().length === events.length);
      assert(toStrangers().every((answer) => answer.includes("sessionId must be a UUID")));
      terminal.input("echo still h''ere\n");
      await terminal.waitForText("still here");
    }),

  "a paste of a megabyte arrives": () =>
    onLiveFleet(async (fleet) => {
      const terminal = await openShell(fleet);
      const file = join(fleet.folder, "pasted");
      const lines = upTo(20_000).map((i) => `${i} ${"y".repeat(50)}\n`).join("");
      terminal.input(`stty -echo; echo re''ady; cat >${file}; echo do''ne\n`);
      await terminal.waitForText("ready");
      terminal.input(`${lines}\x04`);
      await terminal.waitForText("done");
      assert.equal(await textOf(file), lines);
    }),

  "a storm of keys arrives in order": () =>
    onLiveFleet(
      async (fleet) => {
        const terminal = await openShell(fleet);
        terminal.input("stty raw -echo; echo re''ady; head -c 3000; stty sane; echo do''ne\n");
        await terminal.waitForText("ready");
        const keys = upTo(1_000).map((i) => String(i % 1_000).padStart(3, "0"));
        for (const key of keys) terminal.input(key);
        await terminal.waitForText("done");
        assert(terminal.text.includes(keys.join("")));
      },
      {},
      { realtimeHandlerMs: () => Math.random() * 4 },
    ),

  "a control plane that acknowledges nothing is served too": () =>
    onLiveFleet(
      async (fleet, agent) => {
        const sinceMs = performance.now();
        const terminal = await openShell(fleet);
        const tookMs = performance.now() - sinceMs;
        tell(`without acknowledgements the first prompt took ${tookMs.toFixed()} ms`);
        assert(tookMs < 60_000, `the first prompt took ${tookMs} ms`);
        await agent.waitForLog("control plane acknowledges nothing");
        terminal.input("seq 2000 | sed s/^/n/; exit 3\n");
        assert.equal((await exited(terminal))?.exitCode, 3);
        assertInOrder(numbers(terminal), 2_000);

        const dropped = await openShell(fleet);
        await startLoop(dropped, "for i in $(seq 1000); do echo n$i; sleep 0.001; done; exit 4");
        await dropWhile(fleet, [dropped], 1);
        assert.equal((await exited(dropped))?.exitCode, 4);
        const lines = numbers(dropped);
        assert(lines.every((line, i) => line > (lines[i - 1] ?? 0)), "none is there twice");

        const next = await openShell(fleet);
        next.stop();
        assert.equal((await exited(next))?.reason, "closed by operator");
      },
      {},
      { acks: false },
    ),
};

Deno.test("a terminal serves its operator", () => together(BASICS));

Deno.test("Ctrl-C is answered at once, also in a flood", () =>
  onLiveFleet(
    async (fleet) => {
      const { controlPlane: cp } = fleet;
      const terminal = await openShell(fleet);
      terminal.input("sleep 1000\n");
      await living(terminal, 2);
      terminal.input("\x03");
      await prompt(terminal);
      terminal.input("echo r''c=$?\n");
      await terminal.waitForText("rc=130");
      await prompt(terminal);
      const times: number[] = [];
      const floods: number[] = [];
      for (const handlerMs of [() => 0, () => Math.random() * 4, () => 10]) {
        cp.options.realtimeHandlerMs = handlerMs;
        const before = terminal.byteLength;
        terminal.input("yes\n");
        await terminal.waitFor(({ byteLength }) => byteLength > before + 1_000_000);
        const sinceMs = performance.now();
        const sinceBytes = terminal.byteLength;
        terminal.input("\x03");
        await prompt(terminal);
        times.push(performance.now() - sinceMs);
        floods.push(terminal.byteLength - sinceBytes);
      }
      tell(`Ctrl-C in a flood: ${times.map((time) => time.toFixed()).join(", ")} ms`);
      tell(`what still came: ${floods.map((bytes) => (bytes / 1024).toFixed()).join(", ")} KiB`);
      assert(times.every((time) => time < 60_000));
      // Where the handlers are slow a flood would have piled up much more than is to be buffered.
      assert((floods.at(-1) ?? NaN) < 5 * 1024 * 1024);
    },
    {},
    { transcriptBytes: 1e9 },
  ));

Deno.test("20 MB arrive to the byte through uneven handlers, in bounded memory", () =>
  onLiveFleet(
    async (fleet, agent) => {
      const content = new Uint8Array(20_000_000);
      for (let at = 0; at < content.length; at += 50_000) {
        crypto.getRandomValues(content.subarray(at, at + 50_000));
      }
      const file = join(fleet.folder, "content");
      await Deno.writeFile(file, content);
      const terminal = await openShell(fleet);
      terminal.input(`PS1=; stty -opost -echo; printf be''gin; exec cat ${file}\n`);
      assert.equal((await exited(terminal))?.exitCode, 0);
      const { bytes } = terminal;
      const start = bytes.length - content.length;
      assert.equal(new TextDecoder().decode(bytes.subarray(start - 5, start)), "begin");
      assert(bytes.subarray(start).every((byte, i) => byte === content[i]));
      const peak = await agent.peakMemoryMib();
      tell(`20 MB through a terminal: the agent's memory peaks at ${peak.toFixed()} MiB`);
      assert(peak < 150, `${peak} MiB`);
    },
    {},
    { realtimeHandlerMs: () => Math.random() * 4, transcriptBytes: 1e9 },
  ));

Deno.test("of a hundred terminals 32 open, the others are told why not", () =>
  onLiveFleet(async ({ controlPlane: cp }) => {
    const all = upTo(100).map(() => cp.realtime.openTerminal({ cols: 80, rows: 24 }));
    await cp.waitFor(() => all.every(({ status }) => status !== "starting"));
    const [open, refused] = [
      all.filter(({ status }) => status === "open"),
      all.filter(({ status }) => status === "failed"),
    ];
    assert.deepEqual([open.length, refused.length], [32, 68]);
    for (const { error } of refused) assert.match(error ?? "", /^32 terminals are open/);
    for (const terminal of open) {
      terminal.input(`echo me-$((${terminal.sessionId.length}+1)); exit\n`);
    }
    for (const terminal of open) {
      assert.equal((await exited(terminal))?.exitCode, 0);
      assert.match(terminal.text, /^me-37\r$/m);
    }
    const next = cp.realtime.openTerminal({ cols: 80, rows: 24 });
    await next.waitFor(({ status }) => status === "open");
  }));
