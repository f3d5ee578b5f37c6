import assert from "node:assert/strict";
import { join } from "@std/path";
import { EndedTasks } from "./ended_tasks.ts";

const HOUR_MS = 60 * 60 * 1_000;

async function withFile(test: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "ended_" });
  try {
    await test(join(folder, "ended.jsonl"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function load(path: string): Promise<EndedTasks> {
  const ended = new EndedTasks(path);
  await ended.load();
  return ended;
}

function line(id: string, atMs: number): string {
  return JSON.stringify({ id, atMs, outcome: { status: "success" } }) + "\n";
}

Deno.test("an ended task is remembered across restarts, without its output", () =>
  withFile(async (path) => {
    const ended = await load(path);
    await ended.add("a", {
      status: "failed",
      exitCode: 3,
      error: "e",
      durationMs: 5,
      output: "long",
      result: { packages: [] },
    });
    await ended.add("b", { status: "success" });
    const again = await load(path);
    assert.deepEqual(again.get("a"), { status: "failed", exitCode: 3, error: "e", durationMs: 5 });
    assert.deepEqual(again.get("b"), { status: "success" });
    assert.equal(again.get("c"), undefined);
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    assert(!(await Deno.readTextFile(path)).includes("long"));
  }));

Deno.test("it is remembered whatever the clock says, before and after it was set", () =>
  withFile(async (path) => {
    const now = Date.now();
    const times = [0, now - 48 * HOUR_MS, now, now + 48 * HOUR_MS];
    await Deno.writeTextFile(path, times.map((atMs, i) => line(`t${i}`, atMs)).join(""));
    const ended = await load(path);
    times.forEach((_, i) => assert.deepEqual(ended.get(`t${i}`), { status: "success" }));
  }));

Deno.test("of a long error the beginning is remembered", () =>
  withFile(async (path) => {
    const ended = await load(path);
    await ended.add("a", {
      status: "failed",
      error: `${"x".repeat(999)}\u{1f600}${"y".repeat(9_000)}`,
    });
    const error = (await load(path)).get("a")?.error ?? "";
    assert.equal(error.length, 1_000);
    assert(error.isWellFormed());
  }));

Deno.test("the newest 10 000 are remembered, and the file is cleaned up before it doubles", () =>
  withFile(async (path) => {
    const now = Date.now();
    const lines = Array.from({ length: 19_999 }, (_, i) => line(`t${i}`, now));
    await Deno.writeTextFile(path, lines.join(""));
    const ended = await load(path);
    assert.equal(ended.get("t9998"), undefined);
    assert.deepEqual(ended.get("t9999"), { status: "success" });
    await ended.add("x", { status: "success" });
    await ended.add("y", { status: "success" });
    const kept = (await Deno.readTextFile(path)).split("\n").slice(0, -1);
    assert(kept.length <= 10_001, `${kept.length} lines`);
    const again = await load(path);
    assert(again.get("x") && again.get("y") && again.get("t19998"));
  }));

Deno.test("a last line that a crash cut short spoils nothing, wherever it was cut", () =>
  withFile(async (path) => {
    const now = Date.now();
    const torn = line("torn", now);
    for (let length = 0; length < torn.length; length++) {
      await Deno.writeTextFile(path, line("a", now) + torn.slice(0, length));
      const ended = await load(path);
      assert(ended.get("a"));
      await ended.add("b", { status: "success" });
      await ended.add("c", { status: "success" });
      const again = await load(path);
      assert(again.get("a") && again.get("b") && again.get("c"), `cut at ${length}`);
    }
  }));

Deno.test("lines that cannot be read are passed over", () =>
  withFile(async (path) => {
    const now = Date.now();
    const bad = ["not JSON\n", "\n", "null\n", '{"id":1}\n', "\0\0\0\n"].join("");
    await Deno.writeTextFile(path, line("a", now) + bad + line("b", now));
    const ended = new EndedTasks(path);
    assert.equal(await ended.load(), false, "and told of");
    assert(ended.get("a") && ended.get("b"));
    await Deno.writeTextFile(path, line("a", now) + line("b", now).slice(0, 20));
    assert.equal(await new EndedTasks(path).load(), true, "a crash is no damage");
  }));

Deno.test("a disk that refuses is thrown; in memory and from the next success on it is remembered", () =>
  withFile(async (path) => {
    const ended = await load(path);
    await Deno.mkdir(path);
    await assert.rejects(ended.add("a", { status: "success" }));
    assert(ended.get("a"));
    await Deno.remove(path);
    await ended.add("b", { status: "success" });
    const again = await load(path);
    assert(again.get("a") && again.get("b"));
  }));

Deno.test("tasks that end at the same time are all remembered, also while the file is cleaned up", () =>
  withFile(async (path) => {
    const now = Date.now();
    const ids = Array.from({ length: 50 }, (_, i) => `t${i}`);
    for (const before of ["", line("a", now) + line("torn", now).slice(0, 9)]) {
      await Deno.writeTextFile(path, before);
      const ended = await load(path);
      await Promise.all(ids.map(async (id, steps) => {
        // Each begins while the others are at another step of theirs.
        for (let step = 0; step < steps; step++) await Deno.lstat(path);
        await ended.add(id, { status: "success" });
      }));
      const again = await load(path);
      assert.deepEqual(ids.filter((id) => !again.get(id)), []);
    }
  }));

Deno.test("a task is remembered at once, and one that the disk refuses does not keep out the next", () =>
  withFile(async (path) => {
    const ended = await load(path);
    await Deno.mkdir(path);
    const adding = ["a", "b"].map((id) => ended.add(id, { status: "success" }));
    assert(ended.get("a") && ended.get("b"));
    const results = await Promise.allSettled(adding);
    assert.deepEqual(results.map(({ status }) => status), ["rejected", "rejected"]);
    await Deno.remove(path);
    await ended.add("c", { status: "success" });
    const again = await load(path);
    assert(again.get("a") && again.get("b") && again.get("c"));
  }));
