import assert from "node:assert/strict";
import { join } from "@std/path";
import { asAgent, type Launch } from "../privileges/launch.ts";
import { SecretMask } from "../logs/secret_mask.ts";
import { quickestMs } from "../system/_quickest.ts";
import { contextOf } from "../tasks/_test_task_context.ts";
import type { TaskOutcome } from "../tasks/task_type.ts";
import { logScanIn, scan } from "./log_scan.ts";
import { NotPermittedError, type Read, readAs } from "./read_as.ts";
import { LogScanRequest, type LogScanResult } from "./scan_request.ts";

const SMALL = { maxLines: 4, maxBytes: 1_000, backfillLines: 3 };
const AS_ROOT = { runAsRoot: true, rootScope: "operational" };
const NEVER = new AbortController().signal;

/** Scans `syslog` in this folder. */
function scans(folder: string, request: Record<string, unknown> = {}): Promise<LogScanResult> {
  const payload = { mode: "preview", sourcePresetId: "syslog", limits: SMALL, ...request };
  return scan(LogScanRequest.parse(payload), readAs(asAgent, NEVER), folder);
}

async function withLog(test: (folder: string, file: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "log_scan_" });
  try {
    await test(folder, join(folder, "syslog"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function messages({ entries }: LogScanResult): string[] {
  return entries.map(({ message }) => message);
}

Deno.test("a preview tells the last lines, and its cursor is the size", async () => {
  await withLog(async (folder, file) => {
    await Deno.writeTextFile(file, "1\n2\n2026-01-02T03:04:05.5+01:00 host 3\n4\r\n5");
    const result = await scans(folder);
    const { ino } = await Deno.stat(file);
    const { lastReadAt, ...cursor } = result.cursor;
    assert.deepEqual(messages(result), ["2026-01-02T03:04:05.5+01:00 host 3", "4", "5"]);
    assert.equal(result.entries[0]?.timestamp, "2026-01-02T03:04:05.5+01:00");
    assert.deepEqual(cursor, { fileInode: String(ino), fileOffset: 43 });
    assert(lastReadAt.endsWith("Z"));
    assert.deepEqual([result.truncated, result.linesRead, result.bytesRead], [false, 3, 39]);
    const least = await scans(folder, { limits: { ...SMALL, maxBytes: 5 } });
    assert.deepEqual(messages(least), ["4", "5"]);
    assert.equal(least.truncated, true);
    assert.deepEqual(messages(await scans(folder, { limits: { maxLines: 1 } })), ["5"]);
    assert.equal((await scans(folder, { limits: null })).linesRead, 5);
    await Deno.writeTextFile(file, "");
    assert.deepEqual(messages(await scans(folder)), []);
  });
});

Deno.test("a monitor goes on from its cursor in whole lines, and tells what is left", async () => {
  await withLog(async (folder, file) => {
    await Deno.writeTextFile(file, "old\n");
    let { cursor } = await scans(folder, { mode: "monitor" });
    const more = async (limits = {}) => {
      const found = await scans(folder, {
        mode: "monitor",
        cursor,
        limits: { ...SMALL, ...limits },
      });
      ({ cursor } = found);
      return [messages(found).join(), found.truncated];
    };
    assert.deepEqual(await more(), ["", false]);
    await Deno.writeTextFile(file, "1\n2\n3\n4\n5\n6", { append: true });
    assert.deepEqual(await more(), ["1,2,3,4", true]);
    assert.deepEqual(await more(), ["5", false]);
    await Deno.writeTextFile(file, "6\nä\nb\n", { append: true });
    assert.deepEqual(await more({ maxBytes: 5 }), ["66", true]);
    assert.deepEqual(await more({ maxBytes: 5 }), ["ä,b", false]);
  });
});

Deno.test("a file that was rotated or truncated is read from its end, with a warning", async () => {
  await withLog(async (folder, file) => {
    await Deno.writeTextFile(file, "1\n2\n");
    const { cursor } = await scans(folder);
    await Deno.writeTextFile(file, "3\n");
    const truncated = await scans(folder, { mode: "monitor", cursor });
    assert.deepEqual(messages(truncated), ["3"]);
    assert.equal(truncated.cursor.cursorResetReason, "truncated");
    assert.match(truncated.warnings.join(), /was truncated since the last scan/);
    await Deno.rename(file, `${file}.1`);
    await Deno.writeTextFile(file, "4\n5\n6\n7\n8\n");
    const rotated = await scans(folder, { mode: "monitor", cursor: truncated.cursor });
    assert.deepEqual(messages(rotated), ["6", "7", "8"]);
    assert.equal(rotated.cursor.cursorResetReason, "rotated");
    assert.equal(rotated.warnings.length, 1);
  });
});

Deno.test("of 2 GB only the end is read, and of a line of 1 GB only a part", async () => {
  await withLog(async (folder, file) => {
    const sizes = 2 * 1024 ** 3;
    await Deno.writeTextFile(file, "");
    // It has a hole for its beginning: one line, as far as its newlines go.
    await Deno.truncate(file, sizes);
    let hole = await scans(folder);
    const tookMs = await quickestMs(1_000, async () => hole = await scans(folder));
    assert(tookMs < 1_000, `${tookMs} ms`);
    assert.equal(hole.bytesRead, SMALL.maxBytes);
    assert.match(hole.warnings.join(), /a line longer than maxBytes/);
    const first = { fileInode: hole.cursor.fileInode, fileOffset: 0 };
    const part = await scans(folder, { mode: "monitor", cursor: first });
    assert.equal(part.cursor.fileOffset, SMALL.maxBytes);
    assert.equal(part.truncated, true);
    await Deno.writeTextFile(file, "\n1\n2\n", { append: true });
    assert.deepEqual(messages(await scans(folder, { limits: { backfillLines: 2 } })), ["1", "2"]);
  });
});

Deno.test("what is no log of its own is refused, and never waited for", async () => {
  await withLog(async (folder, file) => {
    await assert.rejects(scans(folder), /syslog does not exist: this machine keeps no such log/);
    await Deno.symlink("/etc/shadow", file);
    await assert.rejects(scans(folder), /syslog is a link: it is not followed/);
    await Deno.remove(file);
    await new Deno.Command("mkfifo", { args: [file] }).output();
    await assert.rejects(scans(folder), /syslog is no regular file/);
    // As if it had come into the place of a file that was looked at.
    const read = readAs(asAgent, NEVER);
    assert.equal((await read.file(file, 0, 10)).length, 0);
    await Deno.remove(file);
    await Deno.symlink("/etc/passwd", file);
    await assert.rejects(read.file(file, 0, 10), NotPermittedError);
    await Deno.remove(file);
    await Deno.writeTextFile(`${file}.other`, "secret\n");
    await Deno.link(`${file}.other`, file);
    await assert.rejects(scans(folder), /is a hard link/);
  });
});

/** A reader that may not read. */
const denied: Launch = () => ({ argv: ["sh", "-c", "echo Permission denied >&2; exit 1"] });

Deno.test("root is taken where it is needed and the profile allows it", async () => {
  await withLog(async (folder, file) => {
    await Deno.writeTextFile(file, "secret line\0\n");
    const ends = async (
      payload: Record<string, unknown>,
      refusal?: string,
      unprivileged = denied,
    ): Promise<[TaskOutcome, string]> => {
      let output = "";
      const outcome = await logScanIn(folder).prepare({
        mode: "preview",
        sourcePresetId: "syslog",
        ...payload,
      })(contextOf({
        privileges: {
          unprivileged,
          root: asAgent,
          sudo: true,
          allows: (scope) => {
            assert.equal(scope, "operational");
            return Promise.resolve(refusal);
          },
        },
        signal: NEVER,
        mask: new SecretMask(["secret"]),
        onLines: (_, lines) => Promise.resolve(void (output += lines)),
      }));
      return [outcome, output];
    };
    const sentence = async (payload: Record<string, unknown>, refusal?: string) => {
      const [{ status, error }, output] = await ends(payload, refusal);
      assert.equal(status, "failed");
      assert.equal(output, `${error}\n`);
      return error;
    };
    const [{ status, result }] = await ends(AS_ROOT);
    assert.equal(status, "success");
    assert.doesNotMatch(JSON.stringify(result), /secret|\\u0000/);
    assert.equal((await ends(AS_ROOT, "no", (c) => asAgent(c)))[0].status, "success");
    assert.equal(await sentence(AS_ROOT, "the profile is off"), "the profile is off");
    assert.match(await sentence({}) ?? "", /syslog cannot be read: Permission denied/);
    assert.match(
      await sentence({ sourcePresetId: "messages" }) ?? "",
      /sourcePresetId: must be one of syslog, auth.log, kern.log, noderax-agent, not "messages"/,
    );
    for (const limits of [{ maxLines: 2_001 }, { maxBytes: -1 }, { backfillLines: 1.5 }]) {
      assert.match(
        await sentence({ limits }) ?? "",
        /limits\.\w+: must be a whole number from 0 to/,
      );
    }
    assert.match(await sentence({ mode: "all" }) ?? "", /mode: must be "preview" or "monitor"/);
    assert.match(await sentence({ rootScope: "all" }) ?? "", /rootScope: must be "operational"/);
    assert.match(
      await sentence({ runAsRoot: true }) ?? "",
      /rootScope: is missing: runAsRoot needs/,
    );
  });
});

/** A journal that prints these entries and notes what it was asked. */
function journal(...entries: unknown[]): { read: Read; asked: string[][] } {
  const asked: string[][] = [];
  const program = (argv: string[]) => {
    asked.push(argv);
    const bad = argv.includes("--after-cursor=bad");
    const shown = argv.includes("--reverse") ? entries.toReversed() : entries;
    const text = bad ? "" : shown.map((entry) => `${JSON.stringify(entry)}\n`).join("");
    const stdout = new TextEncoder().encode(text);
    return Promise.resolve({ code: bad ? 1 : 0, stdout, isCut: false, stderr: bad ? "bad" : "" });
  };
  return { read: { program, file: () => assert.fail("no file is read") }, asked };
}

Deno.test("the journal is told oldest first, and gone on from by its own cursor", async () => {
  const of = (n: number, MESSAGE: unknown) => ({
    __CURSOR: `c${n}`,
    __REALTIME_TIMESTAMP: String(n * 1_000_000),
    MESSAGE,
    _SYSTEMD_UNIT: "noderax-agent.service",
    SYSLOG_IDENTIFIER: "noderax-agent",
  });
  const { read, asked } = journal(of(1, "one"), of(2, [0x74, 0x77, 0x6f]), of(3, null));
  const ask = (request: Record<string, unknown>) =>
    scan(
      LogScanRequest.parse({ mode: "monitor", sourcePresetId: "noderax-agent", ...request }),
      read,
    );
  const first = await ask({});
  assert.deepEqual(messages(first), ["one", "two", ""]);
  assert.deepEqual(first.entries[0], {
    timestamp: "1970-01-01T00:00:01.000Z",
    message: "one",
    unit: "noderax-agent.service",
    identifier: "noderax-agent",
  });
  assert.equal(first.cursor.journalCursor, "c3");
  const next = await ask({ cursor: { journalCursor: "c0" }, limits: { maxLines: 2 } });
  assert(asked.at(-1)?.includes("--after-cursor=c0"));
  assert.deepEqual([messages(next).join(), next.cursor.journalCursor], ["one,two", "c2"]);
  assert.equal(next.truncated, true);
  const reset = await ask({ cursor: { journalCursor: "bad" } });
  assert.equal(reset.cursor.cursorResetReason, "invalid");
  assert.equal(reset.linesRead, 3);
  assert.match(reset.warnings.join(), /does not know the cursor/);
  assert.deepEqual((await ask({ limits: { maxBytes: 4 } })).entries.map((e) => e.message), [
    "two",
    "",
  ]);
});
