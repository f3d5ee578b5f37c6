import { join } from "@std/path";
import { stripVTControlCharacters } from "node:util";
import { NAME } from "../src/system/paths.ts";
import { runTool } from "../src/system/tool.ts";
import { UserError } from "../src/system/user_error.ts";
import { RUNTIME_FLAGS, StagedProgram, V8_FLAGS } from "./_program.ts";
import type { Target } from "./_target.ts";
import { mustRun } from "./_tool.ts";

/**
 * Compiles the agent and its permissions into one file, `noderax-agent-linux-<target>`, in a
 * folder; gives its path. DENORT_BIN is the runtime that Deno puts in; without it Deno downloads one.
 *
 * @throws {UserError} when there is no runtime or Deno refuses.
 */
export async function compile(target: Target, outputFolder: string): Promise<string> {
  await using program = await StagedProgram.make(outputFolder);
  const lib = join(program.folder, "lib");
  await program.bundle(target, lib);
  // A compiled program holds the times of its files.
  await mustRun("find", lib, "-exec", "touch", `--date=${program.revision.date}`, "{}", "+");
  const made = join(program.folder, NAME);
  const files = await Array.fromAsync(Deno.readDir(lib), ({ name }) => name);
  // Deno does not see what is loaded late.
  const included = files.filter((name) => name === "node_modules" || name.endsWith(".js")).sort();
  const includes = included.flatMap((name) => ["--include", join(lib, name)]);
  const flags = ["-P", ...RUNTIME_FLAGS, `--v8-flags=${V8_FLAGS}`, ...includes];
  const { code, stderr } = await runTool(
    Deno.execPath(),
    "compile",
    ...flags,
    ...["--target", target.triple, "--output", made, join(lib, "agent.js")],
  );
  if (code !== 0) throw new UserError(whyNot(stripVTControlCharacters(stderr), target));
  const path = join(outputFolder, `${NAME}-linux-${target.name}`);
  await Deno.rename(made, path);
  return path;
}

function whyNot(complaint: string, target: Target): string {
  const missing = /Could not find denort.*|error sending request for url.*denort.*/.exec(complaint);
  if (!missing) return `deno compile failed: ${complaint.trim()}`;
  const [why] = missing;
  return `deno compile has no runtime to put the agent into (${why}). Set DENORT_BIN to the denort ` +
    `of Deno ${Deno.version.deno} for ${target.triple}, or build what needs none: ` +
    `deno task bundle --target ${target.name}.`;
}
