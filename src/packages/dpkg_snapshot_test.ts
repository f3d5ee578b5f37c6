import assert from "node:assert/strict";
import { join } from "@std/path";
import { runTool } from "../system/tool.ts";
import { lookBefore, readLook } from "./apt.ts";

const RECORD = "installed\tbase\tbase\t1.0\tall\tA base";

/** Runs the hook of the option as apt does, with a dpkg-query that prints a record, or fails. */
async function hook(folder: string, path: string, version: string, code = 0): Promise<void> {
  const command = lookBefore(path).slice("DPkg::Pre-Invoke::=".length);
  const script = `printf '%s\\n' '${RECORD.replace("1.0", version)}'; exit ${code}`;
  await Deno.writeTextFile(join(folder, "dpkg-query"), `#!/bin/sh\n${script}`, { mode: 0o700 });
  const ran = await runTool("env", `PATH=${folder}:/usr/bin:/bin`, "/bin/sh", "-c", command);
  assert.deepEqual(ran, { code: 0, stdout: "", stderr: "" });
}

/** A place for a look, whose name is none that a shell would take as it is. */
async function withFolder(test: (folder: string, path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "look_" });
  try {
    await test(folder, join(folder, "it's a note"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("only the first look counts: a later one sees apt's own changes", () =>
  withFolder(async (folder, path) => {
    assert.equal(await readLook(path), undefined);
    for (const version of ["1.0", "2.0"]) await hook(folder, path, version);
    const look = await readLook(path);
    assert.deepEqual(look?.map(({ id, version }) => [id, version]), [["base", "1.0"]]);
  }));

Deno.test("a look that fails does not stop apt, and nothing that it shows is believed", () =>
  withFolder(async (folder, path) => {
    await hook(folder, path, "1.0", 1);
    assert.deepEqual(await readLook(path), []);
    const nowhere = join(folder, "nowhere", "note");
    await hook(folder, nowhere, "1.0");
    assert.equal(await readLook(nowhere), undefined);
  }));
