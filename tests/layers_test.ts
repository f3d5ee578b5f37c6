import assert from "node:assert/strict";
import { join, normalize, relative } from "@std/path";
import { filesIn } from "./_processes.ts";

/** The rooms of src from the lowest layer up; those of one line do not know each other. */
const LAYERS = [
  ["system"],
  ["config", "telemetry"],
  ["control_plane"],
  ["logs", "identity"],
  ["hosts", "install"],
  ["privileges", "realtime"],
  ["tasks", "terminal"],
  ["packages", "log_scan", "health"],
  ["update"],
  ["doctor", "agent"],
  ["cli"],
];
const IMPORT = /(?:from |import\()"(\.[^"]+)"/g;
const SRC = join(import.meta.dirname ?? "", "..", "src");

Deno.test("imports between the rooms run downwards only, those of types too", async () => {
  const heights = new Map(LAYERS.flatMap((rooms, height) => rooms.map((room) => [room, height])));
  const wrong: string[] = [];
  const files = (await filesIn(SRC)).filter((file) => /\.ts$/.test(file));
  assert(files.length > 100);
  for (const file of files.filter((name) => !/_test\.ts$|(^|\/)_(test|fake|harness)/.test(name))) {
    const [room = ""] = file.split("/");
    const text = await Deno.readTextFile(join(SRC, file));
    for (const [, path = ""] of text.matchAll(IMPORT)) {
      const target = relative(SRC, normalize(join(SRC, file, "..", path)));
      const [other = ""] = target.split("/");
      if (other === room || other === ".." || !target.includes("/")) continue;
      const [from, to] = [heights.get(room), heights.get(other)];
      if (from === undefined || to === undefined || to >= from) wrong.push(`${file} -> ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("no two files of src have one name", async () => {
  const names = (await filesIn(SRC)).map((file) => file.split("/").at(-1) ?? "");
  assert.deepEqual(names.filter((name, at) => names.indexOf(name) !== at), []);
});
