import assert from "node:assert/strict";
import { answer } from "./_test_query.ts";
import { auditRpm } from "./rpm_database.ts";

/** What is said when dnf's checks of duplicates and of dependencies answer so. */
async function audited(duplicates: string, dependencies: string) {
  let log = "";
  const sentence = await auditRpm(
    (program, ...args) => {
      const found =
        { "--duplicates": duplicates, "--dependencies": dependencies }[args.at(-1) ?? ""];
      return Promise.resolve(answer(found ?? "", program === "dnf" && found ? 1 : 0));
    },
    (_, lines) => Promise.resolve(void (log += lines)),
    "dnf",
  );
  return { sentence, log };
}

Deno.test("what dnf 4 and dnf 5 find broken is told with what repairs it", async () => {
  assert.deepEqual(await audited("", ""), { sentence: undefined, log: "" });
  for (
    const lacking of [
      "top-2.0-1.noarch has missing requires of base\ntop-2.0-1.noarch has missing requires of x\n",
      'top-2.0-1.noarch\n missing require "base"\n missing require "x"\n' +
      "Check discovered 2 problem(s) in 1 package(s)\n",
    ]
  ) {
    const sentence = 'top-2.0-1.noarch lack what they need: run "dnf reinstall top-2.0-1.noarch" ' +
      "to repair it";
    assert.deepEqual(await audited("", lacking), { sentence, log: `${lacking}[${sentence}]\n` });
  }
  assert.equal(
    (await audited("base-1.0-1.noarch is a duplicate with base-1.1-1.noarch\n", "")).sentence,
    'packages are there twice: run "dnf remove --duplicates" to repair it',
  );
});

Deno.test("indexes that are damaged are named, though rpm can list its packages", async () => {
  const verified = (stderr: string) =>
    auditRpm(
      (...argv) => Promise.resolve(argv[1] === "--verifydb" ? answer("", 2, stderr) : answer("")),
      () => Promise.resolve(),
      "dnf",
    );
  assert.match(
    await verified("error: verify: *** in database main ***\nPage 4: error code 11\n") ?? "",
    /^rpm's database is damaged \(error: verify: .* code 11\): run "rpm --rebuilddb" /,
  );
  const denied = "error: can't create transaction lock on /x/.rpm.lock (Permission denied)\n";
  assert.equal(await verified(denied), undefined);
});
