import { join } from "@std/path";
import { UserError } from "../src/system/user_error.ts";

const FOLDER = join(import.meta.dirname ?? "", "licenses");
const RULE = `\n${"-".repeat(80)}\n\n`;

/** A package of npm, as Deno has it in its cache. */
export interface CachedPackage {
  readonly name: string;
  readonly version: string;
  /** Its folder, which may not be there if the package is for another system. */
  readonly localPath: string;
}

/** A crate that is linked into Deno. */
export interface Crate {
  readonly name: string;
  readonly version: string;
  /** Its licence as an SPDX expression. */
  readonly license: string;
  /** Of the crate as it was published; none for Deno itself. */
  readonly sha256: string | undefined;
}

/**
 * The crates that a version of Deno consists of: what scripts/licenses.ts has written down.
 *
 * @throws {UserError} when that is of another version.
 */
export async function cratesOf(denoVersion: string): Promise<Crate[]> {
  const [first, ...lines] = (await Deno.readTextFile(join(FOLDER, "deno.tsv"))).trimEnd()
    .split("\n");
  if (first !== `Deno ${denoVersion}`) {
    throw new UserError(
      `scripts/licenses is of ${first}: run \`deno task licenses\`, which needs cargo.`,
    );
  }
  return lines.map((line) => {
    const [name = "", version = "", license = "", sha256] = line.split("\t");
    // The form of old crates.
    const expression = license.replaceAll(/ ?\/ ?/g, " OR ").replace(/\+$/, "");
    return { name, version, license: expression, sha256: sha256 || undefined };
  });
}

/** The licenses of all that is released: who passes code on has to pass these on. */
export async function licensesOf(
  packages: readonly CachedPackage[],
  denoVersion: string,
): Promise<string> {
  const crates = await cratesOf(denoVersion);
  const list = crates.map(({ name, version, license }) => `  ${name} ${version}: ${license}\n`);
  return [
    "What is in lib/*.js and lib/node_modules:\n",
    ...await packageLicenses(packages),
    `What is in lib/deno: Deno ${denoVersion}, V8, and these crates, as they state their licences. ` +
    "The texts that they\nbring follow; where one brings none, it is that of its licence among them.\n\n" +
    list.join(""),
    (await Deno.readTextFile(join(FOLDER, "runtime.txt"))).trimEnd() + "\n",
    await Deno.readTextFile(join(FOLDER, "deno.txt")),
  ].join(RULE);
}

async function packageLicenses(packages: readonly CachedPackage[]): Promise<string[]> {
  const sorted = packages.toSorted((a, b) => a.name < b.name ? -1 : 1);
  const texts = await Promise.all(sorted.map(async ({ name, version, localPath }) => {
    const text = await licenseIn(localPath);
    return text === undefined ? [] : [`${name} ${version}\n\n${text.trim()}\n`];
  }));
  return texts.flat();
}

async function licenseIn(folder: string): Promise<string | undefined> {
  try {
    const files = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    const file = files.sort().find((name) => /^licen[cs]e/i.test(name));
    return file === undefined ? undefined : await Deno.readTextFile(join(folder, file));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return undefined;
  }
}
