import assert from "node:assert/strict";
import { delay } from "@std/async";
import { join } from "./_fake_link.ts";
import { HIGH_MARK_BYTES } from "./flow.ts";
import { Harness, processes } from "./_harness.ts";

/** The numbers that a loop has written, one a line. */
function numbers(harness: Harness, sessionId: string): number[] {
  return [...harness.link.text(sessionId).matchAll(/^n(\d+)\r$/gm)].map(([, n]) => Number(n));
}

/** What `ps` says a process does: R while it runs or wants to, S while it waits. */
async function stateOf(pid: number): Promise<string> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "state=", "-p", `${pid}`] })
    .output();
  return new TextDecoder().decode(stdout).trim();
}

Deno.test("a drop ends nothing: 20 MB arrive through many, no byte lost or doubled", async () => {
  await using harness = new Harness({ handlerMs: () => Math.random() * 4 });
  const { link } = harness;
  const sessionId = await harness.open();
  const file = await Deno.makeTempFile();
  const lines = Array.from({ length: 400_000 }, (_, i) => `${i} ${"z".repeat(44)}\n`).join("");
  await Deno.writeTextFile(file, lines);
  harness.type(sessionId, `stty -opost -echo; echo be''gin; cat ${file}; exit\n`);
  await harness.see(sessionId, "begin\n");
  let drops = 0;
  while (!link.event(sessionId, "terminal.exited")) {
    await delay(20 + Math.random() * 60);
    link.drop();
    drops++;
    await delay(Math.random() * 20);
    link.reconnect();
    // Two drops within a handler's time are more than the numbers can tell of.
    await delay(12);
  }
  await Deno.remove(file);
  const text = new TextDecoder().decode(join(link.session(sessionId).output));
  const start = text.indexOf("begin\n") + "begin\n".length;
  assert.equal(text.slice(start, start + lines.length) === lines, true);
  assert.ok(drops > 5, `${drops} drops`);
  assert.equal(link.mostInFlight, 1);
});

Deno.test("while the server is away the shell goes on until its output fills", async () => {
  await using harness = new Harness();
  const { link } = harness;
  const sessionId = await harness.open();
  const file = await Deno.makeTempFile();
  link.drop();
  harness.type(
    sessionId,
    `exec 3>${file}; echo $$ >&3; for i in $(seq 1 200000); do echo n$i; echo $i >&3; done; exit\n`,
  );
  const progress = async () => {
    const [pid, ...lines] = (await Deno.readTextFile(file)).split("\n");
    return { pid: Number(pid), line: Number(lines.at(-2) ?? 0) };
  };
  // A shell that waits for its terminal sleeps; one that only gets no turn does not.
  const paused = async ({ pid, line }: { pid: number; line: number }) =>
    (await progress()).line === line && await stateOf(pid) === "S";
  const full = HIGH_MARK_BYTES / "n12345\r\n".length;
  let last: { pid: number; line: number };
  do {
    last = await progress();
    assert.ok(last.line < 100_000, "it goes on and on");
    await delay(300);
  } while (last.line < full || !await paused(last));
  link.reconnect();
  await harness.see(sessionId, `\nn${last.line + 100}\r\n`);
  const seen = numbers(harness, sessionId);
  assert.deepEqual(seen, seen.map((_, i) => i + 1));
  // Not before: it makes the kernel throw away what has not been read yet.
  harness.type(sessionId, "\x03");
  await harness.see(sessionId, /\^C/);
  await Deno.remove(file);
});

Deno.test("a shell that ends while the server is away is told of later, output first", async () => {
  await using harness = new Harness();
  const { link } = harness;
  const sessionId = await harness.open();
  link.drop();
  harness.type(sessionId, "seq 1 1000 | sed s/^/n/; exit 9\n");
  await delay(300);
  assert.equal(link.event(sessionId, "terminal.exited"), undefined);
  link.reconnect();
  const { exitCode } = await harness.event(sessionId, "terminal.exited");
  assert.equal(exitCode, 9);
  assert.equal(numbers(harness, sessionId).length, 1000);
  assert.equal(link.session(sessionId).events.at(-1)?.event, "terminal.exited");
});

Deno.test("a server that stays away ends the session with all its processes", async () => {
  await using harness = new Harness({}, { abandonMs: 600 });
  const { link } = harness;
  const sessionId = await harness.open();
  const seconds = String(1_000_000 + Math.floor(Math.random() * 1e6));
  harness.type(sessionId, `sleep ${seconds}\n`);
  while ((await processes(`^sleep ${seconds}`)).length < 1) await delay(20);
  link.drop();
  const { reason } = await harness.event(sessionId, "terminal.exited");
  assert.equal(reason, "the control plane could not be reached");
  assert.deepEqual(await processes(`sleep ${seconds}`), []);
  while (harness.manager.count > 0) await delay(1);
});

Deno.test("a control plane without acknowledgements is noticed once and served", async () => {
  await using harness = new Harness({ acks: false }, { firstAckMs: 100 });
  const first = await harness.open();
  const second = await harness.open();
  for (const id of [first, second]) harness.type(id, "seq 1 20000 | sed s/^/n/; exit\n");
  for (const id of [first, second]) {
    await harness.event(id, "terminal.exited");
    assert.deepEqual(numbers(harness, id), Array.from({ length: 20_000 }, (_, i) => i + 1));
  }
  const noticed = harness.log.filter((line) => line.includes("acknowledges nothing"));
  assert.equal(noticed.length, 1);
});

Deno.test("a server that takes no more output ends the session", async () => {
  for (
    const ack of [{ ok: false, message: "Terminal session is closed" }, { ok: true, seq: null }]
  ) {
    let answering = false;
    await using harness = new Harness({
      answer: ({ type }) => answering && type === "terminal.output" ? ack : undefined,
    });
    const sessionId = await harness.open();
    answering = true;
    harness.type(sessionId, "yes\n");
    const { reason } = await harness.event(sessionId, "terminal.exited");
    assert.match(String(reason), /control plane (refuses output: Terminal|takes no more)/);
  }
});

Deno.test("an empty frame that is refused makes the last one go again", async () => {
  let refuse = false;
  await using harness = new Harness({
    handlerMs: () => 20,
    answer: ({ payload }) => refuse && payload === "" ? { ok: false, message: "empty" } : undefined,
  });
  const sessionId = await harness.open();
  refuse = true;
  harness.type(sessionId, "echo n1; echo n2\n");
  await delay(10);
  harness.link.drop();
  await delay(30);
  harness.link.reconnect();
  await harness.see(sessionId, /^n2\r$/m);
  assert.deepEqual([...new Set(numbers(harness, sessionId))], [1, 2]);
});
