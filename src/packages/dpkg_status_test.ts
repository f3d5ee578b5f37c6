import assert from "node:assert/strict";
import { join } from "@std/path";
import { HAS_APT, realQuery } from "./_test_query.ts";
import { parseStatus, readStatusFile } from "./dpkg_status.ts";
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

Deno.test("of each package the file tells what a list shows", () => {
  assert.deepEqual(parseStatus(STATUS), [
    {
      name: "a",
      status: "installed",
      version: "1.0-1",
      architecture: "all",
      description: "the first: with a colon",
    },
    { name: "b", status: "config-files", version: "2:3", architecture: "amd64", description: "" },
  ]);
  assert.deepEqual(parseStatus(""), []);
  for (const other of ["garbage\n", "Package: a\nVersion: 1\n", "\0\n\nPackage: a\n"]) {
    assert.equal(parseStatus(other), undefined, other);
  }
});

Deno.test("dpkg is asked where the file alone does not tell", async () => {
  const folder = await Deno.makeTempDir({ prefix: "dpkg-" });
  try {
    assert.equal(await readStatusFile(folder), undefined, "it is not there");
    await Deno.writeTextFile(join(folder, "status"), STATUS);
    assert.equal(await readStatusFile(folder), undefined, "nor is the folder of what is under way");
    await Deno.mkdir(join(folder, "updates"));
    assert.equal((await readStatusFile(folder))?.length, 2);
    await Deno.writeTextFile(join(folder, "updates/0001"), STATUS);
    assert.equal(await readStatusFile(folder), undefined, "dpkg is at work");
    await Deno.remove(join(folder, "updates/0001"));
    await Deno.truncate(join(folder, "status"));
    assert.equal(await readStatusFile(folder), undefined, "it is empty");
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
