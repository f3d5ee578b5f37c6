import assert from "node:assert/strict";
import { reasonsOf } from "./dnf.ts";
import { failedScripts, scriptsSentence } from "./rpm_database.ts";

Deno.test("dnf's reasons are told in one line, without its progress and its advice", () => {
  const dnf5 = "Updating and loading repositories:\nRepositories loaded.\n" +
    "Failed to resolve the transaction:\nProblem: conflicting requests\n" +
    "  - nothing provides nowhere needed by lost-1.0-1.noarch from tiny\n" +
    "You can try to add to command line:\n  --skip-broken to skip uninstallable packages\n";
  assert.equal(
    reasonsOf("", dnf5),
    "Failed to resolve the transaction: Problem: conflicting requests " +
      "- nothing provides nowhere needed by lost-1.0-1.noarch from tiny",
  );
  const run = "Total size of inbound packages is 5 KiB. Need to download 5 KiB.\n" +
    "[1/1] x-0:1.0-1.noarch  100% |   2.7 MiB/s |   5.5 KiB |  00m00s\n" +
    "----------\nRunning transaction\nTransaction failed: Rpm transaction failed.\n" +
    "Warning: skipped OpenPGP checks for 1 package from repository: tiny\n";
  assert.equal(reasonsOf("", run), "Transaction failed: Rpm transaction failed.");
  assert.equal(
    reasonsOf("", "Error: Unable to find a match: none\n"),
    "Error: Unable to find a match: none",
  );
});

Deno.test("a version that is locked or excluded is a reason", () => {
  const stdout = "Last metadata expiration check: 0:00:03 ago.\n" +
    "All matches were filtered out by exclude filtering for argument: base-1.1\n";
  assert.equal(
    reasonsOf(stdout, "Error: Unable to find a match: base-1.1\n"),
    "All matches were filtered out by exclude filtering for argument: base-1.1 " +
      "Error: Unable to find a match: base-1.1",
  );
});

Deno.test("a script that has failed is found, whoever names it", () => {
  const said = "Error in POSTIN scriptlet in rpm package one\n" +
    ">>> Non-critical error in %post scriptlet: two-0:1.0-1.noarch\n" +
    ">>> Error in %pre scriptlet: three-0:1.0-1.noarch\n" +
    "warning: %post(four-1.0-1.noarch) scriptlet failed, exit status 3\n" +
    "Error in POSTIN scriptlet in rpm package one\n";
  const names = ["one", "two-0:1.0-1.noarch", "three-0:1.0-1.noarch", "four-1.0-1.noarch"];
  assert.deepEqual(failedScripts(said), names);
});

Deno.test("what to do about a script depends on whether its package is there", () => {
  const sentence = (operation: "install" | "remove", there: string[]) =>
    scriptsSentence(operation, ["one", "two"], there, "dnf");
  const what = "scripts of one, two failed";
  assert.equal(sentence("install", []), `${what}, and they are not installed now`);
  assert.equal(
    sentence("install", ["one"]),
    `${what}: run "dnf reinstall one" to run them again`,
  );
  assert.equal(
    sentence("remove", ["two"]),
    `${what}: run "rpm -e --noscripts two" to remove them all the same`,
  );
});
