import assert from "node:assert/strict";
import { join } from "@std/path";
import { HAS_APT, realQuery } from "./_test_query.ts";
import { readStatusFile } from "./dpkg_status.ts";
import { readDpkg } from "./dpkg.ts";

const STATUS = `Package: a
Status: install ok installed
Architecture: all
Version: 1.0-1
Description: the first: with a colon
 Package: is no field here
 .
 Version: nor that

Package: b
Status: deinstall ok config-files
Architecture: amd64
Version: 2:3
Conffiles:
 /etc/b 0123
Description:
`;

const ENTRIES = [
  {
    name: "a",
    status: "installed",
    version: "1.0-1",
    architecture: "all",
    description: "the first: with a colon",
  },
  { name: "b", status: "config-files", version: "2:3", architecture: "amd64", description: "" },
];

Deno.test("the file tells what a list shows; where it does not, dpkg is asked", async () => {
  const folder = await Deno.makeTempDir({ prefix: "dpkg-" });
  const path = join(folder, "status");
  try {
    assert.equal(await readStatusFile(folder), undefined, "it is not there");
    await Deno.writeTextFile(path, STATUS);
    assert.equal(await readStatusFile(folder), undefined, "nor is the folder of what is under way");
    await Deno.mkdir(join(folder, "updates"));
    assert.deepEqual(await readStatusFile(folder), ENTRIES);
    const many = Array.from({ length: 1_000 }, () => STATUS).join("\n");
    await Deno.writeTextFile(path, many);
    assert.deepEqual(
      await readStatusFile(folder),
      Array.from({ length: 1_000 }, () => ENTRIES).flat(),
    );
    await Deno.writeTextFile(join(folder, "updates/0001"), STATUS);
    assert.equal(await readStatusFile(folder), undefined, "dpkg is at work");
    await Deno.remove(join(folder, "updates/0001"));
    for (
      const other of ["", "Version: 1\n", "Package: a\nVersion: 1\n", "Status: x\n\nPackage: a\n"]
    ) {
      await Deno.writeTextFile(path, other);
      assert.equal(await readStatusFile(folder), undefined, other);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the file tells the same as dpkg-query", { ignore: !HAS_APT }, async () => {
  /** Other tests install and remove packages at the same time; those are called like this. */
  const isOfTests = (name: string) => name.startsWith("noderax-test-");
  const read = await readStatusFile();
  // Another test may have dpkg at work just now.
  if (!read) return;
  const asked = (await readDpkg(realQuery()) ?? []).map(({ id: _, ...entry }) => entry);
  const others = (entries: typeof read) => entries.filter(({ name }) => !isOfTests(name));
  assert.deepEqual(others(read), others(asked));
});
