import assert from "node:assert/strict";
import { output, setUpRealtime, type TestSocket } from "./_test_socket.ts";

const size = { cols: 80, rows: 24 };

/** An agent that opens each terminal at once. */
function opens(agent: TestSocket): void {
  agent.socket.on("terminal.start", ({ sessionId }) => {
    // The test may be over before the acknowledgement is here.
    agent.send("terminal.opened", { sessionId, ...size }).catch(() => {});
  });
}

Deno.test("a terminal from start to exit", async () => {
  await using t = await setUpRealtime();
  const agent = await t.agent();
  const terminal = t.cp.realtime.openTerminal({ ...size, runAsRoot: true });
  const { sessionId } = terminal;
  assert.throws(() => terminal.input("x"), /starting takes no input/);
  terminal.resize(100, 30);
  await t.until(() => agent.got("terminal.start").length === 1);
  assert.partialDeepStrictEqual(agent.got("terminal.start"), [
    { type: "terminal.start", sessionId, ...size, runAsRoot: true },
  ]);
  await agent.send("terminal.opened", { sessionId, ...size });
  await terminal.waitFor(({ status }) => status === "open");
  const seen: number[] = [];
  terminal.onOutput((bytes) => seen.push(bytes.length));
  for (const [index, text] of ["a", "ä", ""].entries()) {
    const ack = await agent.send("terminal.output", output(sessionId, text));
    assert.deepEqual(ack, { ok: true, sessionId, seq: index + 1 });
  }
  assert.deepEqual([terminal.text, terminal.frames, seen], ["aä", 3, [1, 2, 0]]);
  terminal.input("ls\n");
  terminal.resize(100, 30);
  await t.until(() => agent.got("terminal.resize").length > 0);
  assert.deepEqual(agent.got("terminal.resize"), [
    { type: "terminal.resize", sessionId, cols: 100, rows: 30 },
  ]);
  assert.deepEqual(agent.got("terminal.input").map((it) => atob(String(it.payload))), ["ls\n"]);
  await agent.send("terminal.exited", { sessionId, exitCode: 3, reason: "exit" });
  assert.deepEqual([terminal.status, terminal.exited], ["closed", { exitCode: 3, reason: "exit" }]);
  assert.deepEqual(t.cp.violations, []);
  assert.equal((await agent.send("terminal.output", output(sessionId, "late"))).ok, false);
  assert.match(t.cp.violations.join(), /terminal .* is closed/);
});

Deno.test("a terminal that is not opened in time, or cannot be, has failed", async () => {
  await using t = await setUpRealtime({ terminalOpenMs: 30 });
  assert.throws(() => t.cp.realtime.openTerminal(size), /offline/);
  const agent = await t.agent();
  const slow = t.cp.realtime.openTerminal(size);
  await slow.waitFor(({ status }) => status === "failed");
  assert.match(slow.error ?? "", /in time/);
  assert.equal((await agent.send("terminal.opened", { sessionId: slow.sessionId })).ok, false);
  t.cp.options.terminalOpenMs = 60_000;
  const refused = t.cp.realtime.openTerminal(size);
  const { sessionId } = refused;
  await agent.send("terminal.error", { sessionId, message: "no shell" });
  assert.deepEqual([refused.status, refused.error], ["failed", "no shell"]);
  const unknown = { sessionId: crypto.randomUUID(), message: "there is no such session" };
  assert.equal((await agent.send("terminal.error", unknown)).ok, false);
  assert.deepEqual(t.cp.violations, []);
});

Deno.test("output is numbered when it was handled, so sending ahead loses the order", async () => {
  const times = [1_000, 1];
  await using t = await setUpRealtime();
  const agent = await t.agent();
  opens(agent);
  const terminal = t.cp.realtime.openTerminal(size);
  await terminal.waitFor(({ status }) => status === "open");
  t.cp.options.realtimeHandlerMs = () => times.shift() ?? 1;
  const { sessionId } = terminal;
  const acks = ["one", "two"].map((text) => agent.send("terminal.output", output(sessionId, text)));
  assert.deepEqual((await Promise.all(acks)).map(({ seq }) => seq), [2, 1]);
  assert.equal(terminal.text, "twoone");
  assert.match(t.cp.violations.join(), /while another was in flight/);
});

Deno.test("payloads: base64 only, up to 65 536 characters; nothing before it is open", async () => {
  await using t = await setUpRealtime();
  const agent = await t.agent();
  const terminal = t.cp.realtime.openTerminal(size);
  const { sessionId } = terminal;
  const send = async (payload: unknown) => {
    const answer = await agent.send("terminal.output", { ...output(sessionId, ""), payload });
    return String(answer.message ?? answer.seq);
  };
  assert.match(await send("YQ=="), /not opened before/);
  await agent.send("terminal.opened", { sessionId });
  for (const payload of ["YQ", "Y Q=", "Y===", "ä", "YQ==\n"]) {
    assert.match(await send(payload), /base64/, payload);
  }
  assert.match(await send(null), /payload/);
  assert.match(await send("A".repeat(65_540)), /65536/);
  assert.equal(await send(new Uint8Array(49_152).toBase64()), "1");
  assert.equal((await agent.send("terminal.opened", { sessionId, cols: 19 })).ok, false);
  assert.equal((await agent.send("terminal.opened", { sessionId, cols: 20, rows: 200 })).ok, true);
});

Deno.test("a stop is sent again after authentication; then the server closes by itself", async () => {
  await using t = await setUpRealtime({ terminalStopMs: 5_000 });
  const agent = await t.agent();
  opens(agent);
  const terminal = t.cp.realtime.openTerminal(size);
  await terminal.waitFor(({ status }) => status === "open");
  t.cp.realtime.dropSockets();
  await t.until(() => agent.closed !== undefined);
  terminal.stop("enough");
  const again = await t.agent();
  await t.until(() => again.got("terminal.stop").length === 1);
  assert.equal(again.got("terminal.stop")[0]?.reason, "enough");
  const { sessionId } = terminal;
  assert.equal((await again.send("terminal.output", output(sessionId, "bye"))).seq, 1);
  await terminal.waitFor(({ status }) => status === "closed");
  assert.deepEqual([terminal.endedByServer, terminal.exited, terminal.text], [
    true,
    undefined,
    "bye",
  ]);
  assert.equal((await again.send("terminal.output", output(sessionId, "late"))).ok, false);
  assert.deepEqual(t.cp.violations, []);
});

Deno.test("a session outlives its socket; input while the agent is gone fails it", async () => {
  await using t = await setUpRealtime();
  const agent = await t.agent();
  opens(agent);
  const terminals = [size, size].map((spec) => t.cp.realtime.openTerminal(spec));
  const [lives, fails] = terminals;
  assert.ok(lives && fails);
  for (const terminal of terminals) await terminal.waitFor(({ status }) => status === "open");
  t.cp.realtime.dropSockets();
  await t.cp.waitFor(() => t.cp.realtime.sockets.length === 0);
  fails.input("x");
  assert.match(fails.error ?? "", /gone/);
  const again = await t.agent();
  assert.equal((await again.send("terminal.output", output(lives.sessionId, "still"))).seq, 1);
  assert.equal((await again.send("terminal.output", output(fails.sessionId, "x"))).ok, false);
  assert.deepEqual(t.cp.violations, []);
});

Deno.test("opened after a stop re-opens the session, against the rules", async () => {
  await using t = await setUpRealtime();
  const agent = await t.agent();
  const terminal = t.cp.realtime.openTerminal(size);
  terminal.stop();
  await agent.send("terminal.opened", { sessionId: terminal.sessionId });
  assert.equal(terminal.status, "open");
  assert.match(t.cp.violations.join(), /after a stop/);
});

Deno.test("ends by the server: a full transcript, an operator who stays away", async () => {
  await using t = await setUpRealtime({ transcriptBytes: 10, detachedMs: 20 });
  const agent = await t.agent();
  opens(agent);
  const full = t.cp.realtime.openTerminal(size);
  await full.waitFor(({ status }) => status === "open");
  const seqs: unknown[] = [];
  for (let index = 0; index < 4; index++) {
    seqs.push((await agent.send("terminal.output", output(full.sessionId, "12345"))).seq);
  }
  assert.deepEqual(seqs, [1, 2, 3, null]);
  assert.deepEqual([full.stopReason, full.byteLength], ["transcript-overflow", 15]);
  const left = t.cp.realtime.openTerminal(size);
  await left.waitFor(({ status }) => status === "open");
  left.detach();
  left.attach();
  left.detach();
  await left.waitFor(({ status }) => status === "stopping");
  assert.equal(left.stopReason, "controller-detached-timeout");
  assert.deepEqual(t.cp.violations, []);
});

Deno.test("an exit that is refused leaves the session open", async () => {
  await using t = await setUpRealtime();
  const agent = await t.agent();
  opens(agent);
  const terminal = t.cp.realtime.openTerminal(size);
  await terminal.waitFor(({ status }) => status === "open");
  const { sessionId } = terminal;
  t.cp.realtime.refuse("terminal.exited", { message: "busy" });
  assert.equal((await agent.send("terminal.exited", { sessionId })).message, "busy");
  assert.deepEqual(t.cp.violations, []);
  const long = await agent.send("terminal.exited", { sessionId, reason: "x".repeat(501) });
  assert.equal(long.ok, false);
  assert.equal(terminal.status, "open");
  await agent.send("terminal.exited", { sessionId });
  assert.equal(terminal.status, "closed");
});
