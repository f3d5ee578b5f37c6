/**
 * Builds what is released, into dist: `build.ts compile|bundle|package|release [--target
 * amd64|arm64] [--output <folder>]`. Without a target a release is for both, else it is this machine's.
 *
 * @module
 */
import { resolve } from "@std/path";
import { parseArgs } from "node:util";
import { complain, print } from "../src/cli/output.ts";
import { EXIT_USAGE, messageOf, UserError } from "../src/system/user_error.ts";
import { buildBundle } from "./_bundle.ts";
import { KEY_VARIABLE, readKey, signChecksums, writeChecksums } from "./_checksums.ts";
import { compile } from "./_compile.ts";
import { buildPackages } from "./_packages.ts";
import { buildRelease } from "./_release.ts";
import { type Target, targetOf, TARGETS } from "./_target.ts";

/** What can be built, each for a target (by default this machine's) and into a folder. */
const BUILDS = {
  compile: async (target, output) => [await compile(target ?? here(), output)],
  bundle: async (target, output) => Object.values(await buildBundle(target ?? here(), output)),
  package: async (target, output) => Object.values(await buildPackages(target ?? here(), output)),
  release: (target, output) => buildRelease(target ? [target] : TARGETS, output),
} satisfies Record<string, (target: Target | undefined, output: string) => Promise<string[]>>;

function here(): Target {
  return targetOf(Deno.build.target);
}

async function build(args: string[]): Promise<void> {
  const { kind, target, output } = readArguments(args);
  const keyFile = Deno.env.get(KEY_VARIABLE);
  // Found out before minutes of work.
  if (keyFile) await readKey(keyFile);
  const paths = await BUILDS[kind](target, output);
  await writeChecksums(output);
  if (keyFile) paths.push(await signChecksums(output, keyFile));
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
    const target = values.target === undefined ? undefined : targetOf(values.target);
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
