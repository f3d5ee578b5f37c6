/**
 * Builds what is released, into dist: `build.ts compile|bundle [--target amd64|arm64] [--output <folder>]`.
 *
 * @module
 */
import { resolve } from "@std/path";
import { parseArgs } from "node:util";
import { complain, print } from "../src/cli/output.ts";
import { EXIT_USAGE, messageOf, UserError } from "../src/system/user_error.ts";
import { buildBundle } from "./_bundle.ts";
import { writeChecksums } from "./_checksums.ts";
import { compile } from "./_compile.ts";
import { targetOf } from "./_target.ts";

async function build(args: string[]): Promise<void> {
  const { kind, target, output } = readArguments(args);
  const paths = kind === "bundle"
    ? Object.values(await buildBundle(target, output))
    : [await compile(target, output)];
  await writeChecksums(output);
  for (const path of paths) {
    const { size } = await Deno.stat(path);
    print(`${path}, ${(size / 1024 / 1024).toFixed(1)} MiB\n`);
  }
}

function readArguments(args: string[]) {
  try {
    const { values, positionals: [kind, ...more] } = parseArgs({
      args,
      allowPositionals: true,
      options: { target: { type: "string" }, output: { type: "string", default: "dist" } },
    });
    if ((kind !== "compile" && kind !== "bundle") || more.length > 0) {
      throw new Error("say what to build: compile or bundle");
    }
    const target = targetOf(values.target ?? Deno.build.target);
    return { kind, target, output: resolve(values.output) };
  } catch (error) {
    throw error instanceof UserError
      ? error
      : new UserError(messageOf(error), { exitCode: EXIT_USAGE, cause: error });
  }
}

try {
  await build(Deno.args);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  complain(error.message);
  Deno.exit(error.exitCode);
}
