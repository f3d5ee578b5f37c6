import { join } from "@std/path";

/** A package of npm, as Deno has it in its cache. */
export interface CachedPackage {
  readonly name: string;
  readonly version: string;
  /** Its folder, which may not be there if the package is for another system. */
  readonly localPath: string;
}

/** The licenses of packages, one after the other: who passes their code on has to pass these on. */
export async function licensesOf(packages: readonly CachedPackage[]): Promise<string> {
  const sorted = packages.toSorted((a, b) => a.name < b.name ? -1 : 1);
  const texts = await Promise.all(sorted.map(async ({ name, version, localPath }) => {
    const text = await licenseIn(localPath);
    return text === undefined ? [] : [`${name} ${version}\n\n${text.trim()}\n`];
  }));
  return texts.flat().join(`\n${"-".repeat(80)}\n\n`);
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
