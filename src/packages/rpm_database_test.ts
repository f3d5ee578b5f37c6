import assert from "node:assert/strict";
import { answer } from "./_test_query.ts";
import { changesBetween } from "./package_manager.ts";
import { parseRpm, readRpm } from "./rpm_database.ts";

Deno.test("a line of rpm is a package: its epoch is told unless it is 0, keys are none", () => {
  const text = "bash\t0\t5.2.21\t1.fc39\tx86_64\tThe GNU shell\n" +
    "vim\t2\t9.0\t1\tx86_64\tAn editor\twith a tab\n" +
    "gpg-pubkey\t0\t18b8e74c\t62f2920f\t(none)\tFedora (39) public key\n";
  const [bash, vim, ...rest] = parseRpm(text);
  assert.deepEqual(rest, []);
  assert.deepEqual(bash, {
    id: "bash.x86_64",
    nevra: "bash-0:5.2.21-1.fc39.x86_64",
    name: "bash",
    version: "5.2.21-1.fc39",
    architecture: "x86_64",
    description: "The GNU shell",
  });
  assert.equal(vim?.version, "2:9.0-1");
  assert.equal(vim?.description, "An editor with a tab");
});

Deno.test("a damaged database is told with what repairs it, even if rpm succeeds", async () => {
  for (const exitCode of [0, 1]) {
    const damaged = answer("", exitCode, "error: sqlite failure: malformed\nerror: more\n");
    await assert.rejects(readRpm(() => Promise.resolve(damaged)), {
      message: "rpm cannot read its database (error: sqlite failure: malformed): " +
        'run "rpm --rebuilddb" to repair it, and take its folder from a backup if that fails',
    });
  }
});

Deno.test("kernels are there in more than one version", () => {
  const kernels = (...numbers: string[]) =>
    parseRpm(numbers.map((number) => `kernel\t0\t${number}\t1\tx86_64\tLinux\n`).join(""));
  assert.deepEqual(changesBetween(kernels("6.1", "6.2"), kernels("6.2", "6.3")), [
    { name: "kernel", from: "6.1-1", to: "6.3-1" },
  ]);
  assert.deepEqual(changesBetween(kernels("6.1"), kernels("6.1", "6.2")), [
    { name: "kernel", to: "6.2-1" },
  ]);
});
