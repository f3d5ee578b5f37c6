/**
 * Builds what is released, into dist: `build.ts compile|bundle|package [--target amd64|arm64] [--output <folder>]`.
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
import { buildPackages } from "./_packages.ts";
import { type Target, targetOf } from "./_target.ts";

/** What can be built, each for a target and into a folder; gives the paths. */
const BUILDS = {
  compile: async (target, output) => [await compile(target, output)],
  bundle: async (target, output) => Object.values(await buildBundle(target, output)),
  package: async (target, output) => Object.values(await buildPackages(target, output)),
} satisfies Record<string, (target: Target, output: string) => Promise<string[]>>;

async function build(args: string[]): Promise<void> {
  const { kind, target, output } = readArguments(args);
  const paths = await BUILDS[kind](target, output);
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
    if (!isKind(kind) || more.length > 0) {
      throw new Error(`say what to build: ${Object.keys(BUILDS).join(", ")}`);
    }
    const target = targetOf(values.target ?? Deno.build.target);
    return { kind, target, output: resolve(values.output) };
  } catch (error) {
    throw error instanceof UserError
      ? error
      : new UserError(messageOf(error), { exitCode: EXIT_USAGE, cause: error });
  }
}

function isKind(kind: string | undefined): kind is keyof typeof BUILDS {
  return kind !== undefined && Object.hasOwn(BUILDS, kind);
}

try {
  await build(Deno.args);
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  complain(error.message);
  Deno.exit(error.exitCode);
}
