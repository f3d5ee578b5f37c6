import { dirname, join } from "@std/path";
import * as z from "@zod/zod";
import project from "../deno.json" with { type: "json" };
import { NAME } from "../src/system/paths.ts";
import { UserError } from "../src/system/user_error.ts";
import { licensesOf } from "./_licenses.ts";
import { launcher } from "./_launcher.ts";
import { type NpmPackage, unpackNpmPackage } from "./_npm_package.ts";
import { StagedProgram } from "./_program.ts";
import type { Target } from "./_target.ts";
import { mustRun } from "./_tool.ts";

/** The Deno that is bundled: the version that all is tested with. */
const DENO_VERSION = "2.9.6";
/** The checksums that the npm registry states for its packages, `sha512-…`. */
const DENO_INTEGRITY: Partial<Record<Target["name"], string>> = {
  amd64:
    "sha512-3md4TKLCuzsLDmfOoC5KN7NAZaxSVkMgm64vg6foD00JBADCpYS2/5QqXfzgnP5ZQz3iLP9vBQJtEgc116OAoQ==",
};

const Lock = z.object({ npm: z.record(z.string(), z.object({ integrity: z.string() })) });

/**
 * Makes the portable bundle, `noderax-agent-<version>-linux-<target>.tar.gz`, in a folder; gives
 * its path. Two builds of one commit are the same bytes.
 *
 * @throws {UserError} when something that it consists of cannot be had.
 */
export async function buildBundle(target: Target, outputFolder: string): Promise<string> {
  const deno = denoFor(target);
  await using program = await StagedProgram.make(outputFolder);
  const name = `${NAME}-${project.version}-linux-${target.name}`;
  const folder = join(program.folder, name);
  const lib = join(folder, "lib");
  const addon = await addonFor(target, program);
  await bundleProgram(program, lib);
  await unpackNpmPackage(addon, join(lib, "node_modules", addon.name));
  const runtime = join(program.folder, "runtime");
  await unpackNpmPackage(deno, runtime);
  await Deno.rename(join(runtime, "deno"), join(lib, "deno"));
  await Deno.writeTextFile(join(folder, NAME), launcher());
  await Deno.chmod(join(folder, NAME), 0o755);
  await Deno.copyFile(join(dirname(import.meta.dirname ?? ""), "LICENSE"), join(folder, "LICENSE"));
  await Deno.writeTextFile(
    join(folder, "LICENSES-OF-OTHERS"),
    await licensesOf(program.packages),
  );
  return await pack(program, name, outputFolder);
}

/**
 * The modules stay apart where the program loads them late: a quick start, less memory. Their names
 * depend on where all that is bundled lies, as seen from the current folder: so it lies in there.
 */
async function bundleProgram(program: StagedProgram, folder: string): Promise<void> {
  // With --keep-names too, node-pty's calls of require() would be left without one.
  const flags = ["--platform=deno", "--minify", "--code-splitting", "--node-modules-dir=auto"];
  const bundle = [Deno.execPath(), "bundle", ...flags, "--outdir", folder, "mod.ts"];
  await mustRun("env", `--chdir=${program.folder}`, ...bundle);
  await Deno.rename(join(folder, "mod.js"), join(folder, "agent.js"));
}

function denoFor(target: Target): NpmPackage {
  const name = `@deno/linux-${target.npm}-glibc`;
  const integrity = DENO_INTEGRITY[target.name];
  if (Deno.version.deno !== DENO_VERSION) {
    throw new UserError(
      `The bundle's Deno is ${DENO_VERSION}, and this is ${Deno.version.deno}: run the task by ` +
        `\`npx -y deno@${DENO_VERSION} task bundle\`, or pin another in scripts/_bundle.ts.`,
    );
  }
  if (!integrity) {
    throw new UserError(
      `The checksum of ${name}@${DENO_VERSION} is not pinned: put what ` +
        `\`npm view ${name}@${DENO_VERSION} dist.integrity\` prints into scripts/_bundle.ts.`,
    );
  }
  return { name, version: DENO_VERSION, integrity };
}

/** The part of node-pty that is machine code; where node-pty finds it, beside the program. */
async function addonFor(target: Target, program: StagedProgram): Promise<NpmPackage> {
  const { npm } = Lock.parse(
    JSON.parse(await Deno.readTextFile(join(program.folder, "deno.lock"))),
  );
  const name = `@lydell/node-pty-linux-${target.npm}`;
  const version = project.imports["node-pty"].split("@").at(-1) ?? "";
  const integrity = npm[`${name}@${version}`]?.integrity;
  if (!integrity) throw new UserError(`deno.lock has no ${name}@${version}.`);
  return { name, version, integrity };
}

/** Nothing of when, where and by whom it was built gets into the archive. */
async function pack(program: StagedProgram, name: string, folder: string): Promise<string> {
  const archive = join(program.folder, `${name}.tar.gz`);
  await mustRun(
    "tar",
    "--create",
    "--format=gnu",
    "--sort=name",
    `--mtime=${program.revision.date}`,
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mode=u=rwX,go=rX",
    "--use-compress-program=gzip -n",
    ...["--file", archive, "--directory", program.folder, name],
  );
  const path = join(folder, `${name}.tar.gz`);
  await Deno.rename(archive, path);
  return path;
}
