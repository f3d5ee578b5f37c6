import assert from "node:assert/strict";
import { Mutex } from "./mutex.ts";

Deno.test("one goes on at a time, in the order of coming; one that gives up lets no other pass", async () => {
  const mutex = new Mutex();
  const story: string[] = [];
  const gates = Object.fromEntries(
    ["a", "b", "c"].map((name) => [name, Promise.withResolvers<void>()]),
  );
  const giveUp = new AbortController();
  const never = new AbortController().signal;
  const come = (name: string, signal = never) =>
    mutex.take(
      async () => {
        story.push(`${name} goes`);
        await gates[name]?.promise;
        story.push(`${name} is done`);
        return name;
      },
      signal,
      () => Promise.resolve(void story.push(`${name} waits`)),
    );
  const a = come("a");
  const b = come("b", giveUp.signal);
  const c = come("c");
  giveUp.abort(new Error("cancelled"));
  await assert.rejects(b, { message: "cancelled" });
  assert.deepEqual(story, ["b waits", "c waits", "a goes"]);
  gates.a?.resolve();
  assert.equal(await a, "a");
  gates.c?.resolve();
  assert.equal(await c, "c");
  assert.deepEqual(story.slice(3), ["a is done", "c goes", "c is done"]);
  assert.equal(await mutex.take(() => Promise.resolve("d"), never, assert.fail), "d");
});

Deno.test("whoever comes later waits for what holds it, and that waits for nobody", async () => {
  const mutex = new Mutex();
  const story: string[] = [];
  const { signal } = new AbortController();
  const wait = () => Promise.resolve(void story.push("waits"));
  const holds = [mutex.hold(), mutex.hold()];
  const work = mutex.take(() => Promise.resolve(story.push("goes")), signal, wait);
  for (const hold of [...holds, ...holds]) {
    await new Promise((turn) => setTimeout(turn));
    assert.deepEqual(story, ["waits"]);
    hold[Symbol.dispose]();
    if (hold === holds[1]) break;
  }
  await work;
  assert.deepEqual(story, ["waits", "goes"]);
  await mutex.take(() => Promise.resolve(), signal, assert.fail);
});

Deno.test("work that fails makes room for the next", async () => {
  const mutex = new Mutex();
  const { signal } = new AbortController();
  const wait = () => Promise.resolve();
  const failing = mutex.take(() => Promise.reject(new Error("no")), signal, wait);
  const next = mutex.take(() => Promise.resolve(1), signal, wait);
  await assert.rejects(failing, { message: "no" });
  assert.equal(await next, 1);
});
