import assert from "node:assert/strict";
import { delay } from "@std/async";
import { readinessClosed } from "../system/readiness.ts";
import { Harness } from "./_harness.ts";
import { TestPlace } from "./_test_place.ts";

Deno.test("a shell that ends in a terminal that was left is the next agent's to tell of", async () => {
  await using kept = new TestPlace();
  await using first = new Harness({}, { place: kept.place() });
  const sessionId = await first.open();
  first.manager.leaveAll();
  await first.manager.stopAll("the agent is stopping");
  first.type(sessionId, "seq 1 60000; exit 41\n");
  await kept.shell(sessionId)?.status;
  first.manager.haltLeft();
  first.manager.letGo();
  assert.equal(first.manager.count, 0);
  assert.equal(first.link.event(sessionId, "terminal.exited"), undefined);
  assert.equal(first.link.event(sessionId, "terminal.error"), undefined);
  assert.deepEqual(kept.closed, []);

  await using second = new Harness({}, { place: kept.place(), link: first.link });
  await first.link.until(
    () => first.link.event(sessionId, "terminal.exited") !== undefined,
    "the end",
  );
  assert.equal(first.link.event(sessionId, "terminal.exited")?.exitCode, 41);
  const expected = Array.from({ length: 60_000 }, (_, i) => `${i + 1}\r\n`).join("");
  assert.ok(first.link.text(sessionId).includes(expected));
  while (second.manager.count > 0) await delay(1);
  assert.deepEqual(kept.closed, [sessionId]);
  await second.manager.stopAll("the test is over");
  await readinessClosed();
});

Deno.test("a terminal that was left is served as long as its operator can reach this agent", async () => {
  await using kept = new TestPlace();
  await using first = new Harness({}, { place: kept.place() });
  const sessionId = await first.open();
  first.manager.leaveAll();
  first.send("terminal.resize", sessionId, { cols: 133, rows: 44 });
  first.type(sessionId, "stty size\n");
  await first.see(sessionId, "44 133\r\n");
  first.manager.reauthorize();
  first.send("terminal.stop", sessionId, { reason: "the next agent does it" });
  first.manager.haltLeft();
  // It is not lost: the one in its place reads it.
  first.type(sessionId, "echo la''te\n");
  first.manager.letGo();

  await using second = new Harness({}, { place: kept.place(), link: first.link });
  await first.see(sessionId, "late\r\n");
  second.type(sessionId, "exit 3\n");
  assert.equal((await first.event(sessionId, "terminal.exited")).exitCode, 3);
  await second.manager.stopAll("the test is over");
  await readinessClosed();
});

Deno.test("output on its way while a terminal is handed on arrives once", async () => {
  await using kept = new TestPlace();
  await using agents = new AsyncDisposableStack();
  let agent = agents.use(new Harness({ handlerMs: () => 3 }, { place: kept.place() }));
  const { link } = agent;
  const sessionId = await agent.open();
  agent.type(sessionId, "seq 1 200000 | sed s/^/n/; exit\n");
  for (let time = 0; time < 6; time++) {
    // Pieces grow to 48 KiB where output waits: 1.5 MB are more of them than six times take.
    const before = link.session(sessionId).output.length;
    await link.until(() => link.session(sessionId).output.length > before + 1, "more");
    agent.manager.leaveAll();
    agent.manager.haltLeft();
    link.drop();
    agent.manager.letGo();
    // What it has heard by now it writes down, as an agent does before it ends.
    await delay(0);
    link.reconnect();
    agent = agents.use(new Harness({}, { place: kept.place(), link }));
  }
  await link.until(() => link.event(sessionId, "terminal.exited") !== undefined, "the end");
  while (agent.manager.count > 0) await delay(1);
  await readinessClosed();
  const numbers = [...link.text(sessionId).matchAll(/^n(\d+)\r$/gm)].map(([, n]) => Number(n));
  assert.deepEqual(numbers, Array.from({ length: 200_000 }, (_, i) => i + 1));
});

Deno.test("a terminal that is just being taken up is left to the next agent as well", async () => {
  await using kept = new TestPlace();
  await using first = new Harness({}, { place: kept.place() });
  const sessionId = await first.open();
  first.manager.leaveAll();
  first.manager.haltLeft();
  first.manager.letGo();
  await using second = new Harness({}, { place: kept.place(), link: first.link });
  second.manager.leaveAll();
  await second.manager.stopAll("the agent is stopping");
  second.manager.haltLeft();
  second.manager.letGo();
  assert.deepEqual([second.manager.count, kept.closed], [0, []]);

  await using third = new Harness({}, { place: kept.place(), link: first.link });
  third.type(sessionId, "exit 3\n");
  assert.equal((await first.event(sessionId, "terminal.exited")).exitCode, 3);
  await third.manager.stopAll("the test is over");
  await readinessClosed();
});

Deno.test("an end that is being told when the terminals are left is told once", async () => {
  await using kept = new TestPlace();
  await using agents = new AsyncDisposableStack();
  const answer = ({ type }: Record<string, unknown>) => {
    if (type === "terminal.exited") first.manager.leaveAll();
    return undefined;
  };
  const first: Harness = agents.use(new Harness({ answer }, { place: kept.place() }));
  const { link } = first;
  const sessionId = await first.open();
  first.type(sessionId, "exit 5\n");
  assert.equal((await first.event(sessionId, "terminal.exited")).exitCode, 5);
  while (first.manager.count > 0) await delay(1);
  first.manager.haltLeft();
  first.manager.letGo();
  assert.deepEqual(kept.closed, [sessionId]);
  assert.deepEqual(kept.place().left, []);
  const ends = link.session(sessionId).events.filter(({ event }) => event === "terminal.exited");
  assert.equal(ends.length, 1);
  await readinessClosed();
});
