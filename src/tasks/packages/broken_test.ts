import assert from "node:assert/strict";
import { answer } from "./_test_query.ts";
import { brokenBetween, tellBroken } from "./broken.ts";
import type { DpkgRecord } from "./dpkg.ts";

function record(name: string, status: string): DpkgRecord {
  return { id: name, name, version: "1", status, architecture: "all", description: "" };
}

/** What the log and the sentence say when dpkg audits these packages so. */
async function told(audit: string, ...broken: DpkgRecord[]) {
  const asked: string[][] = [];
  let log = "";
  const sentence = await tellBroken(broken, (...argv) => {
    asked.push(argv);
    return Promise.resolve(answer(audit));
  }, (_, lines) => Promise.resolve(void (log += lines)));
  assert.deepEqual(asked, [["dpkg", "--audit", ...broken.map(({ id }) => id)]]);
  return { sentence, log };
}

Deno.test("what is unfinished is broken, unless it was so before", () => {
  const broken = [
    "half-installed",
    "unpacked",
    "half-configured",
    "triggers-pending",
    "triggers-awaited",
  ];
  const after = ["installed", "config-files", "not-installed", ...broken]
    .map((status) => record(status, status));
  const names = (before: DpkgRecord[]) => brokenBetween(before, after).map(({ name }) => name);
  assert.deepEqual(names([]), broken);
  assert.deepEqual(
    names([record("unpacked", "unpacked"), record("half-configured", "installed")]),
    broken.filter((name) => name !== "unpacked"),
  );
});

Deno.test("each broken package is told with the command that mends it", async () => {
  const [a, b] = [record("a", "half-configured"), record("b", "half-installed")];
  const mend = 'dpkg has left a half done: run "dpkg --configure -a" to mend it';
  assert.deepEqual(await told("an audit\n", a), {
    sentence: mend,
    log: `an audit\n[${mend}]\n`,
  });
  assert.equal(
    (await told("", b)).sentence,
    'dpkg has left b half done: run "apt-get install --reinstall b" to mend it',
  );
  assert.equal(
    (await told("", a, b)).sentence,
    'dpkg has left a, b half done: run "dpkg --configure -a", then ' +
      '"apt-get install --reinstall b" to mend it',
  );
});

Deno.test("while another process changes packages nobody is blamed", async () => {
  const audit = "Another process has locked the database for writing, and might currently be\n" +
    "modifying it, some of the following problems might just be due to that.\n";
  const { sentence, log } = await told(audit, record("a", "half-configured"));
  assert.equal(sentence, undefined);
  assert.equal(log, audit);
});

Deno.test("where nothing is broken dpkg is not asked", async () => {
  assert.equal(await tellBroken([], assert.fail, assert.fail), undefined);
});
