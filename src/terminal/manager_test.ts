import assert from "node:assert/strict";
import { delay } from "@std/async";
import { join } from "./_fake_link.ts";
import { Harness, processes } from "./_harness.ts";
import { MAX_SESSIONS } from "./manager.ts";

/** Names of the session's events without its output. */
function events(harness: Harness, sessionId: string): string[] {
  return harness.link.session(sessionId).events
    .map(({ event }) => event)
    .filter((event) => event !== "terminal.output");
}

async function errorOf(harness: Harness, sessionId: string): Promise<string> {
  return String((await harness.event(sessionId, "terminal.error")).message);
}

/** What is left of a session's processes is looked for by this argument. */
const uniqueSeconds = () => String(1_000_000 + Math.floor(Math.random() * 1_000_000_000));

Deno.test("a terminal opens, echoes, and ends with the shell's exit code", async () => {
  await using harness = new Harness();
  const sessionId = await harness.open();
  const opened = harness.link.event(sessionId, "terminal.opened");
  assert.deepEqual(opened, { type: "terminal.opened", sessionId, cols: 120, rows: 34 });
  harness.type(sessionId, "stty size; printf 'last w''ord'; exit 5\n");
  const exited = await harness.event(sessionId, "terminal.exited");
  const { exitCode, reason } = exited;
  assert.deepEqual(exited, { type: "terminal.exited", sessionId, exitCode, reason });
  assert.equal(exitCode, 5);
  assert.equal(reason, "the shell exited");
  assert.match(harness.link.text(sessionId), /34 120\r\n.*last word/);
  assert.deepEqual(events(harness, sessionId), ["terminal.opened", "terminal.exited"]);
  assert.equal(harness.link.session(sessionId).events.at(-1)?.event, "terminal.exited");
  assert.equal(harness.link.mostInFlight, 1);
});

Deno.test("sizes outside the contract's range are refused, others are used", async () => {
  await using harness = new Harness();
  for (const size of [{ cols: 19 }, { cols: 401 }, { rows: 9 }, { rows: 201 }, { cols: 80.5 }]) {
    const sessionId = harness.start(undefined, size);
    assert.match(await errorOf(harness, sessionId), /(cols|rows) must be/);
  }
  const sessionId = await harness.open({ cols: 400, rows: 10 });
  harness.send("terminal.resize", sessionId, { cols: 20, rows: 200 });
  harness.type(sessionId, "stty size\n");
  await harness.see(sessionId, "200 20");
  harness.send("terminal.resize", sessionId, { cols: 500, rows: 200 });
  await harness.see(sessionId, /\[terminal\.resize: cols must be from 20 to 400/);
  assert.equal(harness.link.event(sessionId, "terminal.error"), undefined, "it would end it");
});

Deno.test("input and sizes that come while the shell starts are not lost", async () => {
  await using harness = new Harness();
  const sessionId = harness.start();
  harness.send("terminal.resize", sessionId, { cols: 66, rows: 22 });
  harness.type(sessionId, "stty size\n");
  await harness.see(sessionId, "22 66");
});

Deno.test("unusable events are answered clearly and harm nothing", async () => {
  await using harness = new Harness();
  const sessionId = await harness.open();
  const { manager } = harness;
  for (
    const event of ["terminal.start", "terminal.input", "terminal.resize", "terminal.stop"] as const
  ) {
    for (const payload of [null, undefined, 7, "x", [], {}, { sessionId: null }]) {
      manager.handle(event, payload);
    }
    const nowhere = `no-uuid-${event}`;
    manager.handle(event, { sessionId: nowhere });
    assert.match(await errorOf(harness, nowhere), /^terminal.*: sessionId must be a UUID/);
    manager.handle(event, { sessionId: "x".repeat(201) });
    const unknown = crypto.randomUUID();
    manager.handle(event, { sessionId: unknown, payload: "", cols: 0, rows: 0 });
    if (event === "terminal.start") await harness.event(unknown, "terminal.opened");
    else assert.match(await errorOf(harness, unknown), /there is no terminal session/);
  }
  assert.match(harness.log.join(""), /terminal.input: sessionId must be a UUID/);
  assert.deepEqual(events(harness, "x".repeat(201)), []);
  harness.send("terminal.input", sessionId, { payload: "%%%" });
  await harness.see(sessionId, "[terminal.input: payload must be base64]");
  harness.start(sessionId);
  harness.type(sessionId, "echo still h''ere\n");
  await harness.see(sessionId, "still here");
  await harness.see(sessionId, `[terminal session ${sessionId} is open already]`);
  assert.equal(harness.link.event(sessionId, "terminal.error"), undefined, "it would end it");
});

Deno.test("many events for terminals that are gone are one warning, and each is answered", async () => {
  await using harness = new Harness();
  const gone = [crypto.randomUUID(), crypto.randomUUID()];
  for (const sessionId of gone) {
    for (let key = 0; key < 20; key++) harness.type(sessionId, "k");
    assert.equal(events(harness, sessionId).length, 20);
  }
  harness.send("terminal.input", gone[0] ?? "", { payload: "%%%" });
  const warnings = harness.log.filter((line) => line.includes("terminal event is refused"));
  assert.equal(warnings.length, 2);
});

Deno.test("a hundred sessions at once: 32 open, the others are told why not", async () => {
  await using harness = new Harness();
  const ids = Array.from({ length: 100 }, () => harness.start());
  await harness.link.until(
    () => ids.every((id) => events(harness, id).length > 0),
    "an answer to each",
  );
  const opened = ids.filter((id) => harness.link.event(id, "terminal.opened"));
  assert.equal(opened.length, MAX_SESSIONS);
  assert.equal(harness.manager.count, MAX_SESSIONS);
  const refused = ids.find((id) => !opened.includes(id)) ?? "";
  assert.match(await errorOf(harness, refused), /32 terminals are open/);
  for (const id of opened) harness.type(id, `echo me-${id.slice(0, 8)}; exit\n`);
  await Promise.all(opened.map((id) => harness.event(id, "terminal.exited")));
  for (const id of opened) {
    assert.match(harness.link.text(id), new RegExp(`[\r\n]me-${id.slice(0, 8)}`));
  }
  while (harness.manager.count > 0) await delay(1);
});

Deno.test("a stop ends the whole tree, whatever its processes do", async () => {
  await using harness = new Harness();
  const sessionId = await harness.open();
  const seconds = uniqueSeconds();
  harness.type(
    sessionId,
    `setsid sleep ${seconds} & nohup sleep ${seconds} >/dev/null & ` +
      `(trap '' HUP TERM INT; sleep ${seconds}; sleep ${seconds}) & sleep ${seconds}\n`,
  );
  while ((await processes(`^sleep ${seconds}`)).length < 4) await delay(20);
  harness.send("terminal.stop", sessionId, { reason: "x".repeat(600) });
  harness.send("terminal.stop", sessionId, { reason: "again" });
  const { exitCode, reason } = await harness.event(sessionId, "terminal.exited");
  assert.equal(typeof exitCode, "number");
  assert.equal(reason, "x".repeat(500));
  assert.deepEqual(await processes(`sleep ${seconds}`), []);
});

Deno.test("a stop while the shell starts is honoured: the terminal is never opened", async () => {
  await using harness = new Harness();
  for (const waitMs of [0, 1, 5, 10, 20, 40]) {
    const sessionId = harness.start();
    await delay(waitMs);
    const opened = harness.link.event(sessionId, "terminal.opened") !== undefined;
    harness.send("terminal.stop", sessionId, { reason: null });
    const { reason } = await harness.event(sessionId, "terminal.exited");
    assert.equal(reason, "stopped by the operator");
    if (!opened) assert.deepEqual(events(harness, sessionId), ["terminal.exited"]);
    harness.start(sessionId);
    assert.match(await errorOf(harness, sessionId), /(open|ended) already/);
  }
});

Deno.test("a stop that comes again, or too early, is answered", async () => {
  await using harness = new Harness();
  const sessionId = await harness.open();
  harness.type(sessionId, "exit 4\n");
  await harness.event(sessionId, "terminal.exited");
  while (harness.manager.count > 0) await delay(1);
  harness.send("terminal.stop", sessionId);
  const ends = harness.link.session(sessionId).events
    .filter(({ event }) => event === "terminal.exited").map(({ payload }) => payload.exitCode);
  assert.deepEqual(ends, [4, 4]);
  const early = crypto.randomUUID();
  harness.send("terminal.stop", early, { reason: "x".repeat(499) + "\u{1f600}" });
  harness.start(early);
  assert.deepEqual(events(harness, early), ["terminal.error", "terminal.error"]);
  harness.send("terminal.stop", early);
  const { reason } = await harness.event(early, "terminal.exited");
  assert.equal(reason, "x".repeat(499) + "\ufffd");
});

Deno.test("Ctrl-C is answered at once in a flood", async () => {
  await using harness = new Harness({ handlerMs: () => 5 });
  const sessionId = await harness.open();
  harness.type(sessionId, "yes; echo rc=$?\n");
  const { output } = harness.link.session(sessionId);
  await harness.link.until(() => output.length > 100, "a flood");
  const before = output.length;
  harness.type(sessionId, "\x03");
  await harness.link.until(
    () => /[#$>] $/.test(new TextDecoder().decode(join(output.slice(-3)))),
    "the prompt",
  );
  // At 5 ms each: not behind all that the flood has printed in the meantime.
  const frames = output.length - before;
  assert.ok(frames < 100, `${frames} frames came first`);
  assert.ok(output.every(({ length }) => length <= 49_152));
});

Deno.test("a shell ends only after the server has stored its last output", async () => {
  await using harness = new Harness({ handlerMs: () => 30 });
  const sessionId = await harness.open();
  harness.type(sessionId, "seq 1 60000; exit\n");
  await harness.event(sessionId, "terminal.exited");
  const text = harness.link.text(sessionId);
  const expected = Array.from({ length: 60_000 }, (_, i) => `${i + 1}\r\n`).join("");
  assert.ok(text.includes(expected));
});

Deno.test("a paste of a megabyte arrives", async () => {
  await using harness = new Harness();
  const sessionId = await harness.open();
  const file = await Deno.makeTempFile();
  try {
    harness.type(sessionId, `stty -echo; echo re''ady; cat >${file}; echo d''one\n`);
    await harness.see(sessionId, "ready");
    const lines = Array.from({ length: 20_000 }, (_, i) => `${i} ${"y".repeat(50)}\n`).join("");
    const bytes = new TextEncoder().encode(lines + "\x04");
    for (let at = 0; at < bytes.length; at += 50_000) {
      harness.type(sessionId, bytes.slice(at, at + 50_000));
    }
    await harness.see(sessionId, "done");
    assert.equal(await Deno.readTextFile(file), lines);
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("authorize refuses with its own sentence", async () => {
  await using harness = new Harness({}, {
    authorize: ({ runAsRoot }) => runAsRoot ? "no root terminals here" : undefined,
  });
  const sessionId = harness.start(undefined, { runAsRoot: true });
  assert.equal(await errorOf(harness, sessionId), "no root terminals here");
  await harness.open();
});

Deno.test("the agent's stop ends everything and takes no more", async () => {
  await using harness = new Harness();
  const ids = await Promise.all([harness.open(), harness.open(), harness.open()]);
  const seconds = uniqueSeconds();
  for (const id of ids) harness.type(id, `sleep ${seconds}\n`);
  while ((await processes(`^sleep ${seconds}`)).length < 3) await delay(20);
  await harness.manager.stopAll("the agent is stopping");
  for (const id of ids) {
    assert.equal(harness.link.event(id, "terminal.exited")?.reason, "the agent is stopping");
  }
  assert.deepEqual(await processes(`sleep ${seconds}`), []);
  const late = harness.start();
  assert.equal(await errorOf(harness, late), "the agent is stopping");
});

Deno.test("the bytes of a program arrive exactly", async () => {
  await using harness = new Harness({ handlerMs: () => Math.random() * 2 });
  const sessionId = await harness.open();
  const file = await Deno.makeTempFile();
  const data = crypto.getRandomValues(new Uint8Array(60_000));
  const bytes = join(Array.from({ length: 20 }, () => data));
  await Deno.writeFile(file, bytes);
  harness.type(sessionId, `stty raw -echo; echo be''gin; cat ${file}; exec true\n`);
  await harness.event(sessionId, "terminal.exited");
  await Deno.remove(file);
  const all = join(harness.link.session(sessionId).output);
  const text = new TextDecoder("latin1").decode(all);
  const start = text.indexOf("begin\n") + "begin\n".length;
  assert.deepEqual(all.subarray(start), bytes);
});
