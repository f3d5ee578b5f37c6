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
/** Whatever names another file: `from`, `import`, `import(…)` of a value or a type, a URL. */
const IMPORT = /\b(?:from|import|URL)\s*\(?\s*"(\.[^"]+)"/g;
const SRC = join(import.meta.dirname ?? "", "..", "src");

const HEIGHTS = new Map(LAYERS.flatMap((rooms, height) => rooms.map((room) => [room, height])));

/** The imports of a file of src that do not run downwards. */
function upward(file: string, text: string): string[] {
  const [room = ""] = file.split("/");
  return [...text.matchAll(IMPORT)].flatMap(([, path = ""]) => {
    const target = relative(SRC, normalize(join(SRC, file, "..", path)));
    const [other = ""] = target.split("/");
    if (other === room || target === "../deno.json") return [];
    const [from, to] = [HEIGHTS.get(room), HEIGHTS.get(other)];
    return from === undefined || to === undefined || to >= from ? [`${file} -> ${target}`] : [];
  });
}

Deno.test("imports between the rooms run downwards only, those of types too", async () => {
  const files = (await filesIn(SRC)).filter((file) => /\.ts$/.test(file));
  assert(files.length > 100);
  const wrong: string[] = [];
  for (const file of files.filter((name) => !/_test\.ts$|(^|\/)_(test|fake|harness)/.test(name))) {
    wrong.push(...upward(file, await Deno.readTextFile(join(SRC, file))));
  }
  assert.deepEqual(wrong, []);
});

Deno.test("an import upwards is found however it is written", () => {
  const target = '"../tasks/journal.ts"';
  for (
    const line of [
      `import { Journal } from ${target};`,
      `import type { Journal } from ${target};`,
      `import {\n  Journal,\n} from ${target};`,
      `import ${target};`,
      `export * from ${target};`,
      `const journal = await import(${target});`,
      `const journal = await import(\n  ${target}\n);`,
      `type Journal = import(${target}).Journal;`,
      `new Worker(new URL(${target}, import.meta.url));`,
    ]
  ) {
    assert.deepEqual(upward("system/x.ts", line), ["system/x.ts -> tasks/journal.ts"], line);
    assert.deepEqual(upward("agent/x.ts", line), [], line);
    assert.equal(upward("terminal/x.ts", line).length, 1, line);
  }
  assert.equal(upward("system/x.ts", 'import "../../tests/_agent.ts";').length, 1);
});

Deno.test("no files of src import each other in a circle, those of one room and types too", async () => {
  const imports = new Map<string, string[]>();
  for (const file of (await filesIn(SRC)).filter((name) => /\.ts$/.test(name))) {
    if (/_test\.ts$|(^|\/)_/.test(file)) continue;
    const text = await Deno.readTextFile(join(SRC, file));
    const targets = [...text.matchAll(IMPORT)].map(([, path = ""]) =>
      normalize(join(file, "..", path))
    );
    imports.set(file, targets);
  }
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): void => {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(" -> "));
    else if (!done.has(file)) {
      for (const each of imports.get(file) ?? []) visit(each, [...way, file]);
      done.add(file);
    }
  };
  for (const file of imports.keys()) visit(file, []);
  assert.deepEqual(circles, []);
});

Deno.test("no two files of src have one name", async () => {
  const names = (await filesIn(SRC)).map((file) => file.split("/").at(-1) ?? "");
  assert.deepEqual(names.filter((name, at) => names.indexOf(name) !== at), []);
});

Deno.test("docs/architecture.md names every room, in the order of the layers, and no file that is not there", async () => {
  const text = await Deno.readTextFile(join(SRC, "..", "docs", "architecture.md"));
  const files = await filesIn(SRC);
  const named = [...text.matchAll(/`((?!tests)[a-z_]+\/[a-z_]+\.ts)`/g)].map(([, file = ""]) =>
    file
  );
  assert(named.length > 30);
  assert.deepEqual(named.filter((file) => !files.includes(file)), []);
  const rows = [...text.matchAll(/^\| (`[a-z_]+`(?:, `[a-z_]+`)*) +\|/gm)].slice(0, LAYERS.length);
  const shown = rows.map(([, cell = ""]) => cell.replaceAll("`", "").split(", ").toSorted());
  assert.deepEqual(shown, LAYERS.toReversed().map((rooms) => rooms.toSorted()));
});
