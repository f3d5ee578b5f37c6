import assert from "node:assert/strict";
import {
  additionLine,
  BEGUN_LINE,
  causeLine,
  parseRecord,
  recordLine,
  type TaskRecord,
} from "./task_record.ts";

const BOOT = "this boot";
const PROMISED: TaskRecord = {
  version: 1,
  task: { id: "a", type: "shell.exec", payload: { command: "echo '\n'" } },
  claimedAt: "2025-01-01T00:00:00Z",
};
const NOTED: TaskRecord = {
  ...PROMISED,
  process: { pid: 7, startTicks: "99", bootId: BOOT },
  started: { bootId: BOOT, ms: 1 },
};
const STARTED: TaskRecord = { ...PROMISED, started: { bootId: BOOT, ms: 0 } };
const CANCELLED: TaskRecord = { ...NOTED, cause: { kind: "cancelled", reason: "enough" } };
const ENDED: TaskRecord = { ...CANCELLED, outcome: { status: "success", exitCode: 0 } };

/** The lines of a whole record, and what it stands for behind each of them. */
const LINES: [string, TaskRecord][] = [
  [recordLine(PROMISED), PROMISED],
  [additionLine(STARTED), PROMISED],
  [BEGUN_LINE, STARTED],
  [additionLine(NOTED), STARTED],
  [BEGUN_LINE, NOTED],
  [additionLine({ ...NOTED, process: { pid: 8, startTicks: "100", bootId: BOOT } }), NOTED],
  [causeLine({ kind: "cancelled", reason: "enough" }), CANCELLED],
  [additionLine(ENDED), ENDED],
];

Deno.test("a record cut short at any byte of a later line is the one before that line", () => {
  let text = "";
  let before: TaskRecord | undefined;
  for (const [line, after] of LINES) {
    for (let cut = 0; cut < line.length; cut++) {
      for (const tail of ["", "\0".repeat(line.length - cut)]) {
        const torn = text + line.slice(0, cut) + tail;
        if (before) assert.deepEqual(parseRecord(torn, BOOT), before, JSON.stringify(torn));
      }
    }
    text += line;
    before = after;
    assert.deepEqual(parseRecord(text, BOOT), after);
  }
});

Deno.test("a record of one line without its end, as earlier agents have written it, is whole", () => {
  for (const record of [PROMISED, NOTED, ENDED]) {
    assert.deepEqual(parseRecord(JSON.stringify(record), BOOT), record);
  }
});

Deno.test("of a process that may not run yet nobody knows whether it did, once the machine was started", () => {
  const text = recordLine(PROMISED) + additionLine(NOTED);
  assert.deepEqual(parseRecord(text, "another boot"), NOTED);
});

Deno.test("what is damaged before its last line is no record", () => {
  const text = LINES.map(([line]) => line).join("");
  assert.throws(() => parseRecord(text.replace('"pid":7', '"pid":seven'), BOOT));
  assert.throws(() => parseRecord(text.slice(1), BOOT));
  assert.throws(() => parseRecord("", BOOT));
  assert.throws(() => parseRecord(text.replace('{"begun":true}', '{"begun":false}'), BOOT));
});

Deno.test("a cause that only a later version knows makes no record unreadable", () => {
  const line = `${JSON.stringify({ cause: { kind: "a new one" } })}\n`;
  for (const lines of [[BEGUN_LINE, line], [line, BEGUN_LINE]]) {
    const text = recordLine(PROMISED) + additionLine(NOTED) + lines.join("");
    assert.deepEqual(parseRecord(text, BOOT).process, NOTED.process);
  }
});
