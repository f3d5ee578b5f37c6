import assert from "node:assert/strict";
import { answer } from "./_test_query.ts";
import { changesBetween } from "./package_manager.ts";
import { type DpkgRecord, presentIn, readDpkg } from "./dpkg.ts";

function record(id: string, version: string, status = "installed"): DpkgRecord {
  const name = id.replace(/:.*/, "");
  return { id, name, version, status, architecture: "amd64", description: "" };
}

Deno.test("each line of dpkg-query is a package, with or without a description", async () => {
  const text = "installed\tlibc6:amd64\tlibc6\t2.36\tamd64\tGNU C\tLibrary\n" +
    "config-files\tzsh\tzsh\t5.9\tall\t\n" +
    "not-installed\tghost\tghost\t\t\t\n";
  const records = await readDpkg(() => Promise.resolve(answer(text)));
  assert.deepEqual(records, [
    {
      status: "installed",
      id: "libc6:amd64",
      name: "libc6",
      version: "2.36",
      architecture: "amd64",
      description: "GNU C Library",
    },
    {
      status: "config-files",
      id: "zsh",
      name: "zsh",
      version: "5.9",
      architecture: "all",
      description: "",
    },
    {
      status: "not-installed",
      id: "ghost",
      name: "ghost",
      version: "",
      architecture: "",
      description: "",
    },
  ]);
});

Deno.test("a missing dpkg-query is told from one that fails", async () => {
  assert.equal(await readDpkg(() => Promise.resolve(answer("", 127))), undefined);
  await assert.rejects(readDpkg(() => Promise.resolve(answer("", 2, "no database\n"))), {
    message: "dpkg-query failed: no database",
  });
});

Deno.test("changes are told by name, without what stayed", () => {
  const before = [
    record("gone", "1"),
    record("kept", "1"),
    record("left", "1", "config-files"),
    record("libc6:amd64", "1"),
    record("libc6:i386", "1"),
  ];
  const after = [
    record("added", "3", "half-configured"),
    record("gone", "1", "config-files"),
    record("kept", "1"),
    record("left", "1", "not-installed"),
    record("libc6:amd64", "2"),
    record("libc6:i386", "1"),
  ];
  assert.deepEqual(changesBetween(presentIn(before), presentIn(after)), [
    { name: "added", to: "3" },
    { name: "gone", from: "1" },
    { name: "libc6", from: "1", to: "2" },
  ]);
  assert.deepEqual(changesBetween(presentIn(before), presentIn(before)), []);
});
