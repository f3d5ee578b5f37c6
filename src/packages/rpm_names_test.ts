import assert from "node:assert/strict";
import { parseRpm } from "./rpm_database.ts";
import { installedAs, parseRpmRequest } from "./rpm_names.ts";

Deno.test("what rpm allows is allowed", () => {
  const names = [
    ...["bash", "libstdc++", "Old_lib++", "glibc.i686", "python3.11", "java-17-openjdk-headless"],
    ...["bash-5.2-1.fc39", "bash-5.2-1.fc39.x86_64", "vim-2:9.0-1", "vim-2:9.0-1.x86_64"],
    ...["kernel-6.5.6-300.fc39.x86_64", "foo-1.0~rc1-1", "foo-1.0^git1-1", "389-ds-base"],
  ];
  assert.deepEqual(parseRpmRequest("install", { names }), { operation: "install", names });
});

Deno.test("a name stands for what dnf would take it for among the installed", () => {
  const records = parseRpm(
    "vim\t2\t9.0\t1\tx86_64\tx\nvim\t2\t9.0\t1\ti686\tx\nvim-data\t2\t9.0\t1\tnoarch\tx\n",
  );
  const found = (name: string) => installedAs(name, records).map(({ nevra }) => nevra);
  const both = ["vim-2:9.0-1.x86_64", "vim-2:9.0-1.i686"];
  for (const name of ["vim", "vim-9.0", "vim-2:9.0", "vim-9.0-1", "vim-2:9.0-1"]) {
    assert.deepEqual(found(name), both, name);
  }
  assert.deepEqual(found("vim.i686"), ["vim-2:9.0-1.i686"]);
  assert.deepEqual(found("vim-2:9.0-1.x86_64"), ["vim-2:9.0-1.x86_64"]);
  for (const name of ["vi", "vim-8", "vim-1:9.0", "vim.noarch"]) assert.deepEqual(found(name), []);
});
