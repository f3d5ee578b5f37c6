import assert from "node:assert/strict";
import { answer } from "./_test_query.ts";
import { auditDpkg, type DpkgRecord } from "./dpkg.ts";

function record(name: string, status: string): DpkgRecord {
  return { id: name, name, version: "1", status, architecture: "all", description: "" };
}

/** What the log and the sentence say when dpkg audits these packages so. */
async function told(audit: string, ...broken: DpkgRecord[]) {
  const asked: string[][] = [];
  let log = "";
  const sentence = await auditDpkg(broken, (...argv) => {
    asked.push(argv);
    return Promise.resolve(answer(audit));
  }, (_, lines) => Promise.resolve(void (log += lines)));
  assert.deepEqual(asked, [["dpkg", "--audit"]]);
  return { sentence, log };
}

Deno.test("what is unfinished is broken", async () => {
  for (const status of ["unpacked", "half-configured", "triggers-pending", "triggers-awaited"]) {
    assert.match(
      (await told("", record("a", status))).sentence ?? "",
      /^dpkg has left a half done/,
    );
  }
  const whole = ["installed", "config-files", "not-installed"].map((status) => record("b", status));
  assert.match(
    (await told("", ...whole, record("a", "unpacked"), ...whole)).sentence ?? "",
    /^dpkg has left a half done/,
  );
});

Deno.test("of very many broken packages only the first are told by name", async () => {
  const names = Array.from({ length: 300 }, (_, index) => `p${index}`);
  const { sentence } = await told("", ...names.map((name) => record(name, "half-installed")));
  assert.equal(
    sentence,
    "dpkg has left p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 and 290 more packages half done: " +
      'run "apt-get install --reinstall p0 p1 p2 p3 p4 p5 p6 p7 p8 p9" to repair it',
  );
});

Deno.test("each broken package is told with the command that repairs it", async () => {
  const [a, b] = [record("a", "half-configured"), record("b", "half-installed")];
  const repair = 'dpkg has left a half done: run "dpkg --configure -a" to repair it';
  assert.deepEqual(await told("an audit\n", a), {
    sentence: repair,
    log: `an audit\n[${repair}]\n`,
  });
  assert.equal(
    (await told("", b)).sentence,
    'dpkg has left b half done: run "apt-get install --reinstall b" to repair it',
  );
  assert.equal(
    (await told("", a, b)).sentence,
    'dpkg has left a, b half done: run "dpkg --configure -a", then ' +
      '"apt-get install --reinstall b" to repair it',
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
  const records = [record("a", "installed"), record("b", "config-files")];
  assert.equal(await auditDpkg(records, assert.fail, assert.fail), undefined);
});
