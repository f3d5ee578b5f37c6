import { join } from "@std/path";
import { runTool } from "../src/system/tool.ts";
import { UserError } from "../src/system/user_error.ts";
import { mustRun } from "./_tool.ts";

/** One version of an npm package. */
export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** Its checksum, `sha512-…`, in the form of npm's lock files. */
  readonly integrity: string;
}

/**
 * Fetches a package with npm, from npm's cache where it is there, and unpacks it into `folder`.
 *
 * @throws {UserError} when npm cannot fetch it, or when it is not the package that is pinned.
 */
export async function unpackNpmPackage(
  { name, version, integrity }: NpmPackage,
  folder: string,
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const what = `${name}@${version}`;
  const flags = [
    "--loglevel=error",
    "--ignore-scripts",
    "--prefer-offline",
    "--pack-destination",
    folder,
  ];
  const { code, stdout, stderr } = await runTool("npm", "pack", ...flags, what);
  if (code !== 0) {
    const why = stderr.split("\n")[0] || `exit code ${code}`;
    throw new UserError(
      `npm cannot fetch ${what}, which is to be a part of the bundle: ${why}. Check npm's registry.`,
    );
  }
  const archive = join(folder, stdout.split("\n").at(-1) ?? "");
  const digest = await crypto.subtle.digest("SHA-512", await Deno.readFile(archive));
  const found = `sha512-${new Uint8Array(digest).toBase64()}`;
  if (found !== integrity) {
    throw new UserError(`${what} is not the package that is pinned: it is ${found}.`);
  }
  const extract = ["--extract", "--no-same-owner", "--strip-components=1"];
  await mustRun("tar", ...extract, "--file", archive, "--directory", folder);
  await Deno.remove(archive);
}
