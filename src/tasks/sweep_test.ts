import assert from "node:assert/strict";
import { join } from "@std/path";
import { sweepJournal } from "./sweep.ts";

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
