import assert from "node:assert/strict";
import { join, normalize, relative } from "@std/path";

const SRC = join(import.meta.dirname ?? "", "..", "src");
/** What every agent has loaded when its session is up; they are loaded late, one after the other. */
const LOADED = [
  "cli/main.ts",
  "cli/daemon.ts",
  "cli/run.ts",
  "agent/agent.ts",
  "agent/realtime_services.ts",
  "health/status_endpoints.ts",
  "terminal/open_sessions.ts",
];
const IMPORT = /^(?:import|export)(?! type\b)[^;]*?from "([^"]+)";|^import "([^"]+)";/gm;

Deno.test("a start loads no module of Node, which cost 60 ms and 12 MB", async () => {
  const seen = new Set<string>();
  const ofNode: string[] = [];
  const walk = async (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = await Deno.readTextFile(join(SRC, file));
    for (const [, from, bare] of text.matchAll(IMPORT)) {
      const specifier = from ?? bare ?? "";
      if (specifier.startsWith("node:")) ofNode.push(`${file}: ${specifier}`);
      if (!/^\.\.?\/.*\.ts$/.test(specifier)) continue;
      const next = relative(SRC, normalize(join(SRC, file, "..", specifier)));
      if (!next.startsWith("..")) await walk(next);
    }
  };
  for (const file of LOADED) await walk(file);
  assert(seen.size > 100, `${seen.size} files`);
  assert.deepEqual(ofNode, []);
});
