import assert from "node:assert/strict";
import { join } from "@std/path";
import { bootTime } from "../system/boot_time.ts";
import { Logger } from "../system/logger.ts";
import { TaskJournal } from "./journal.ts";
import { sweepJournal } from "./journal_sweep.ts";
import { parseRecord, type TaskRecord } from "./task_record.ts";

function recordOf(id: string, more: Partial<TaskRecord> = {}): TaskRecord {
  const task = { id, type: "shell.exec", payload: { command: "true" } };
  return { version: 1, task, claimedAt: "2025-01-01T00:00:00Z", ...more };
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "journal_" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function openIn(folder: string) {
  const events: Record<string, unknown>[] = [];
  const logger = new Logger({ write: (line) => events.push(JSON.parse(line)) });
  const refusals: string[] = [];
  const opened = await TaskJournal.open(folder, logger, (why) => refusals.push(why));
  return { ...opened, events, refusals };
}

async function filesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).toSorted();
}

async function modeOf(path: string): Promise<number> {
  return ((await Deno.stat(path)).mode ?? 0) & 0o777;
}

Deno.test("what is written is there for the next agent, and gone once it is closed or forgotten", () =>
  withFolder(async (parent) => {
    const folder = join(parent, "state/tasks");
    const first = await openIn(folder);
    assert.deepEqual(first.unfinished, { records: [], damaged: [] });
    assert.equal(await modeOf(folder), 0o700);
    const process = { pid: 7, startTicks: "99", bootId: "b" };
    const ran = recordOf("ran", { process, outcome: { status: "success", exitCode: 0 } });
    await first.journal.write(recordOf("ran"));
    await first.journal.write(ran);
    await first.journal.write(recordOf("claimed"));
    await first.journal.write(recordOf("not-run"));
    await first.journal.forget("not-run");
    assert.deepEqual(await filesIn(folder), ["claimed.json", "ran.json"]);
    assert.equal(await modeOf(join(folder, "ran.json")), 0o600);

    const second = await openIn(folder);
    const byId = second.unfinished.records.toSorted((a, b) => a.task.id < b.task.id ? -1 : 1);
    assert.deepEqual(byId, [recordOf("claimed"), ran]);
    await second.journal.close("ran", { status: "success" });
    await second.journal.close("claimed", { status: "failed", error: "e" });
    assert.deepEqual(await filesIn(folder), ["ended.jsonl"]);

    const third = await openIn(folder);
    assert.deepEqual(third.unfinished.records, []);
    assert.deepEqual(third.journal.ended.get("claimed"), { status: "failed", error: "e" });
    assert.equal(third.journal.ended.get("not-run"), undefined, "it may come again");
    assert.deepEqual([...first.events, ...second.events, ...third.events], []);
  }));

Deno.test("a damaged file is set aside and named, whatever is wrong with it; the others are read", () =>
  withFolder(async (folder) => {
    const good = JSON.stringify(recordOf("good"));
    const bad: Record<string, string> = {
      empty: "",
      zeros: "\0".repeat(200),
      half: good.slice(0, good.length / 2),
      "other-task": good,
      "next-version": good.replace('"version":1', '"version":2').replace("good", "next-version"),
      list: "[]",
    };
    for (const [id, text] of Object.entries({ ...bad, good })) {
      await Deno.writeTextFile(join(folder, `${id}.json`), text);
    }
    const { unfinished, events } = await openIn(folder);
    assert.deepEqual(unfinished.records, [recordOf("good")]);
    const names = Object.keys(bad).toSorted();
    assert.deepEqual(unfinished.damaged.map(({ taskId }) => taskId).toSorted(), names);
    for (const { taskId, setAside } of unfinished.damaged) {
      assert.equal(setAside, join(folder, `${taskId}.json.corrupt`));
      assert.equal(await Deno.readTextFile(setAside), bad[taskId], "nothing of it is lost");
      const event = events.find((each) => each.taskId === taskId);
      assert.equal(event?.level, "error");
      assert.equal(event?.file, setAside);
    }
    assert.deepEqual((await openIn(folder)).unfinished.damaged, [], "once is enough");
  }));

Deno.test("what a killed write left is removed, and nothing else is touched", () =>
  withFolder(async (folder) => {
    const others = ["a.index", "a.stdout", "notes.txt", "x.json.corrupt"];
    for (const name of [".a.json.1b2c3d4e.tmp", ...others]) {
      await Deno.writeTextFile(join(folder, name), "x");
    }
    await Deno.mkdir(join(folder, "stuck.tmp/full"), { recursive: true });
    await Deno.writeTextFile(join(folder, "z.json"), JSON.stringify(recordOf("z")));
    const { unfinished } = await openIn(folder);
    assert.deepEqual(unfinished.records.length, 1, "what cannot be removed keeps nobody up");
    assert.deepEqual(await filesIn(folder), [...others, "stuck.tmp", "z.json"].toSorted());
  }));

Deno.test("a folder that cannot be written is warned of once, and tasks go on", () =>
  withFolder(async (parent) => {
    const file = join(parent, "file");
    await Deno.writeTextFile(file, "");
    const { journal, events, refusals } = await openIn(join(file, "tasks"));
    await journal.write(recordOf("a"));
    await journal.close("a", { status: "success" });
    journal.diskFailed(new Error("and once more"));
    assert.deepEqual(events.map(({ level }) => level), ["warn"]);
    assert.match(String(events[0]?.msg), /cannot be written/);
    assert.equal(refusals.at(-1), "and once more", "the verdict hears of each");
    assert.deepEqual(journal.ended.get("a"), { status: "success" }, "remembered all the same");
  }));

Deno.test("a disk that has recovered is used again, and its hiccups are not told of each time", () =>
  withFolder(async (parent) => {
    const folder = join(parent, "tasks");
    const { journal, events } = await openIn(folder);
    for (let i = 0; i < 3; i++) {
      await Deno.remove(folder, { recursive: true });
      await Deno.writeTextFile(folder, "in the way");
      await journal.write(recordOf("a"));
      await Deno.remove(folder);
      await journal.write(recordOf("a"));
      assert.deepEqual(await filesIn(folder), ["a.json"]);
    }
    assert.equal(events.length, 1);
  }));

Deno.test("what the disk has refused is written with the next that it takes, in its newest form", () =>
  withFolder(async (parent) => {
    const folder = join(parent, "tasks");
    const { journal } = await openIn(folder);
    await Deno.remove(folder, { recursive: true });
    await Deno.writeTextFile(folder, "in the way");
    const outcome = { status: "success" as const };
    for (const record of ["a", "b", "c", "gone"].map((id) => recordOf(id))) {
      assert.equal(await journal.write(record), false);
    }
    await journal.write(recordOf("a", { outcome }));
    await journal.close("c", outcome);
    await journal.forget("gone");
    await journal.writeRefused();
    await Deno.remove(folder);
    assert.equal(await journal.write(recordOf("d")), true);
    // It is under way.
    await journal.writeRefused();
    assert.deepEqual(await filesIn(folder), ["a.json", "b.json", "d.json", "ended.jsonl"]);
    const next = await openIn(folder);
    const a = next.unfinished.records.find(({ task: { id } }) => id === "a");
    assert.deepEqual(a?.outcome, outcome);
    assert.deepEqual(next.journal.ended.get("c"), outcome);
  }));

Deno.test("a record that waits for the disk replaces no newer one", () =>
  withFolder(async (parent) => {
    const folder = join(parent, "tasks");
    const { journal } = await openIn(folder);
    const outcome = { status: "success" as const };
    for (let i = 0; i < 20; i++) {
      await Deno.remove(folder, { recursive: true });
      await Deno.writeTextFile(folder, "in the way");
      for (const id of ["a", "b"]) await journal.write(recordOf(id));
      await Deno.remove(folder);
      const rewritten = journal.writeRefused();
      await Promise.all([journal.write(recordOf("a", { outcome })), journal.forget("b")]);
      await rewritten;
      assert.deepEqual(await filesIn(folder), ["a.json"]);
      assert.match(await Deno.readTextFile(join(folder, "a.json")), /outcome/);
    }
  }));

Deno.test("a record without its process does not outlive the refusal of that with it", () =>
  withFolder(async (folder) => {
    const { journal } = await openIn(folder);
    await journal.write(recordOf("a"));
    await refuseNext(folder, "a");
    const staged = await journal.stage(recordOf("a", { process: PROCESS }));
    await loseStaged(folder);
    assert.equal(await staged.commit(), false);
    assert.deepEqual(await filesIn(folder), []);
    await journal.writeRefused();
    assert.match(await Deno.readTextFile(join(folder, "a.json")), /startTicks/);
  }));

Deno.test("a record of an earlier agent stays where the disk refuses why its task is being ended", () =>
  withFolder(async (folder) => {
    await (await openIn(folder)).journal.write(recordOf("a", { process: PROCESS }));
    const { journal } = await openIn(folder);
    const stage = journal.stage.bind(journal);
    journal.stage = async (record) => {
      const staged = await stage(record);
      await loseStaged(folder);
      return staged;
    };
    const ended = recordOf("a", { process: PROCESS, cause: { kind: "cancelled" } });
    await journal.noteCause(ended);
    const { unfinished } = await openIn(folder);
    assert.deepEqual(unfinished.records, [recordOf("a", { process: PROCESS })]);
    await journal.writeRefused();
    assert.deepEqual((await openIn(folder)).unfinished.records, [ended]);
  }));

const PROCESS = { pid: 7, startTicks: "99", bootId: "b" };

/** Has the disk refuse what is staged, and not in its place yet. */
async function loseStaged(folder: string): Promise<void> {
  for (const name of await filesIn(folder)) {
    if (name.endsWith(".tmp")) await Deno.remove(join(folder, name));
  }
}

/** A record's file to which no line is added, as it is a link; others can be made. */
async function refuseNext(folder: string, taskId: string, to = "/dev/full"): Promise<void> {
  await Deno.remove(join(folder, `${taskId}.json`));
  await Deno.symlink(to, join(folder, `${taskId}.json`));
}

Deno.test("a line is not added through a link, but written with all that was before it, and of nobody else", () =>
  withFolder(async (folder) => {
    const { journal, events } = await openIn(folder);
    const victim = join(folder, "victim");
    await Deno.writeTextFile(victim, "precious");
    const ids = ["a", "b", "c", "d"];
    const outcome = { status: "success" as const };
    await Promise.all(ids.map((id) => journal.write(recordOf(id))));
    await refuseNext(folder, "b", victim);
    const written = ids.map((id) => journal.write(recordOf(id, { outcome })));
    assert.deepEqual(await Promise.all(written), [true, true, true, true]);
    assert.match(String(events.at(0)?.problem), /b\.json is not used, because it is a link/);
    assert.deepEqual([events.length, await Deno.readTextFile(victim)], [1, "precious"]);
    const { unfinished } = await openIn(folder);
    const found = unfinished.records.toSorted((a, b) => a.task.id < b.task.id ? -1 : 1);
    assert.deepEqual(found, ids.map((id) => recordOf(id, { outcome })));
    assert.equal((await Deno.lstat(join(folder, "b.json"))).isFile, true, "in a file of its own");
  }));

Deno.test("a record whose file is gone is written anew, whole", () =>
  withFolder(async (folder) => {
    const { journal, events } = await openIn(folder);
    const path = join(folder, "a.json");
    await journal.write(recordOf("a"));
    await Deno.remove(path);
    const ran = recordOf("a", { process: PROCESS });
    assert.equal(await journal.write(ran), true);
    assert.deepEqual(parseRecord(await Deno.readTextFile(path)), ran);
    assert.equal(events.length, 1, "and told");
  }));

Deno.test("a process that may not run yet is none for whoever comes after a kill", () =>
  withFolder(async (folder) => {
    const { journal } = await openIn(folder);
    using _file = journal.holding("a");
    const process = { pid: 7, startTicks: "99", bootId: bootTime().bootId };
    const next = async () => (await openIn(folder)).unfinished.records[0]?.process?.pid;
    await journal.write(recordOf("a"));
    const staged = await journal.stage(recordOf("a", { process }));
    assert.equal(await next(), undefined);
    await staged.commit();
    assert.equal(await next(), 7);
    const second = await journal.stage(recordOf("a", { process: { ...process, pid: 8 } }));
    assert.equal(await next(), 7, "the one that runs");
    await second.discard();
    assert.equal(await next(), 7);
  }));

Deno.test("what is written anew comes behind a line that is being added", () =>
  withFolder(async (folder) => {
    const { journal, events } = await openIn(folder);
    const process = { pid: 7, startTicks: "99", bootId: bootTime().bootId };
    const outcome = { status: "success" as const };
    const ids = Array.from({ length: 20 }, (_, i) => `t${i}`);
    await Promise.all(ids.map(async (id, i) => {
      await journal.write(recordOf(id));
      const staged = journal.stage(recordOf(id, { process }));
      for (let turns = 0; turns < i % 7; turns++) await Promise.resolve();
      await journal.rewrite(recordOf(id, { claimedAt: "now" }));
      await (await staged).discard();
      await journal.write(recordOf(id, { outcome }));
      const { claimedAt, ...read } = parseRecord(
        await Deno.readTextFile(join(folder, `${id}.json`)),
      );
      assert.deepEqual([claimedAt, read.process, read.outcome], ["now", undefined, outcome]);
    }));
    assert.deepEqual(events, [], "nothing was refused");
  }));

Deno.test("output that an earlier agent has left of a task goes when that begins anew", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "a.stdout"), "x");
    await Deno.writeTextFile(join(folder, "a.index"), "x");
    const { journal } = await openIn(folder);
    await Deno.writeTextFile(join(folder, "b.stdout"), "this agent's own");
    for (const id of ["a", "b", "a"]) await journal.removeLeftOutput(id);
    assert.deepEqual(await filesIn(folder), ["b.stdout"]);
  }));

Deno.test("what is old and belongs to no task is removed, and nothing else", async () => {
  const folder = await Deno.makeTempDir({ prefix: "sweep_" });
  const files = [
    "gone.stdout",
    "gone.system",
    "gone.index",
    "gone.json.corrupt",
    "ended.jsonl.corrupt",
    "here.json",
    "here.stderr",
    "here.index",
    "here.index.corrupt",
    "busy.stdout",
    "ended.jsonl",
    "new.tmp",
    "notes.txt",
  ];
  try {
    for (const name of files) await Deno.writeTextFile(join(folder, name), "x");
    await Deno.mkdir(join(folder, "folder.corrupt"));
    const isAtWork = (id: string) => id === "busy";
    const sixDays = Date.now() + 6 * 86_400_000;
    assert.deepEqual(await sweepJournal(folder, isAtWork, sixDays), []);
    const swept = await sweepJournal(folder, isAtWork, sixDays + 2 * 86_400_000);
    const expected = [...files.slice(0, 5), "here.index.corrupt"].toSorted();
    assert.deepEqual(swept.toSorted(), expected);
    const left = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    const kept = files.filter((name) => !expected.includes(name));
    assert.deepEqual(left.toSorted(), ["folder.corrupt", ...kept].toSorted());
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
