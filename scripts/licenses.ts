/**
 * Writes down what the pinned Deno is made of, in scripts/licenses: `deno task licenses`, needed
 * when another Deno is pinned. It needs cargo, which fetches Deno's published crate and all that its
 * lock file names; what the crates say of themselves is the list.
 *
 * @module
 */
import { dirname, join } from "@std/path";
import * as z from "@zod/zod";
import { complain, print } from "../src/cli/output.ts";
import { UserError } from "../src/system/user_error.ts";
import { DENO_VERSION } from "./_release_tree.ts";
import { mustRun } from "./_tool.ts";

const FOLDER = join(import.meta.dirname ?? "", "licenses");
const TRIPLES = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];
const LICENSE_FILE = /^(licen[cs]e|copying|copyright|notice|unlicense)/i;
/** Crates whose licences lie within the code that they hold. */
const DEEPER = ["aws-lc", "libffi", "sqlcipher", "vendor", "zstd", "src/zlib", "src/zlib-ng"];
const APACHE = /^\s*Apache License\s+Version 2\.0[^]*?END OF TERMS AND CONDITIONS/i;

const Metadata = z.object({
  packages: z.array(z.object({
    id: z.string(),
    name: z.string(),
    version: z.string(),
    license: z.string().nullable(),
    manifest_path: z.string(),
  })),
  resolve: z.object({
    root: z.string(),
    nodes: z.array(z.object({
      id: z.string(),
      deps: z.array(z.object({
        pkg: z.string(),
        dep_kinds: z.array(z.object({ kind: z.string().nullable() })),
      })),
    })),
  }),
});

type Crate = z.infer<typeof Metadata>["packages"][number];

async function writeLicenses(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "licenses_" });
  try {
    await writeThoseOf(await denoCrate(folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function writeThoseOf(root: string): Promise<void> {
  const crates = new Map<string, Crate>();
  for (const triple of TRIPLES) {
    for (const crate of await cratesOf(root, triple)) crates.set(crate.id, crate);
  }
  const sorted = [...crates.values()].sort((a, b) => nameOf(a) < nameOf(b) ? -1 : 1);
  const lock = await Deno.readTextFile(join(root, "Cargo.lock"));
  const lines = sorted.map(({ name, version, license }) => {
    const entry = new RegExp(
      `name = "${name}"\nversion = "${version.replaceAll("+", "\\+")}"\n` +
        '(?:source = .*\n)?checksum = "(\\w+)"',
    ).exec(lock);
    return [name, version, license ?? "", entry?.[1] ?? ""].join("\t");
  });
  const list = `Deno ${DENO_VERSION}\n${lines.join("\n")}\n`;
  await Deno.writeTextFile(join(FOLDER, "deno.tsv"), list);
  const text = await textsOf(sorted);
  await Deno.writeTextFile(join(FOLDER, "deno.txt"), text);
  print(`${sorted.length} crates, ${text.length} characters of licences\n`);
}

/** Unpacks Deno's own crate as it was published, its lock file in it; gives its folder. */
async function denoCrate(folder: string): Promise<string> {
  await mustRun("cargo", "info", "--quiet", `deno@${DENO_VERSION}`);
  const home = await mustRun("sh", "-c", 'echo "${CARGO_HOME:-$HOME/.cargo}"');
  const find = ["find", join(home, "registry", "cache"), "-name", `deno-${DENO_VERSION}.crate`];
  const [archive = ""] = (await mustRun("env", ...find)).split("\n");
  await mustRun("tar", "--extract", "--file", archive, "--directory", folder);
  return join(folder, `deno-${DENO_VERSION}`);
}

/** What is linked into Deno on a kind of machine: nothing that only builds or tests it. */
async function cratesOf(root: string, triple: string): Promise<Crate[]> {
  const flags = ["--locked", "--format-version=1", `--filter-platform=${triple}`];
  const manifest = join(root, "Cargo.toml");
  const json = await mustRun("cargo", "metadata", ...flags, "--manifest-path", manifest);
  const { packages, resolve } = Metadata.parse(JSON.parse(json));
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const linked = new Set([resolve.root]);
  // A set that grows while it is walked through is walked through to its end.
  for (const id of linked) {
    for (const { pkg, dep_kinds } of nodes.get(id)?.deps ?? []) {
      if (dep_kinds.some(({ kind }) => kind === null)) linked.add(pkg);
    }
  }
  return packages.filter(({ id }) => linked.has(id));
}

/** Every text once, with the crates that it is of. */
async function textsOf(crates: Crate[]): Promise<string> {
  const texts = new Map<string, { text: string; of: Set<string> }>();
  for (const crate of crates) {
    for (const path of await licenseFiles(dirname(crate.manifest_path))) {
      const text = (await Deno.readTextFile(path)).replaceAll("\r\n", "\n")
        .replaceAll(/[ \t]+$/gm, "").replace(/^\n+/, "").trimEnd();
      const apache = APACHE.test(text);
      // Its copies differ in the spaces, and in examples after its end.
      const key = apache ? "Apache-2.0" : text.replaceAll(/\s+/g, " ");
      const entry = texts.get(key) ?? { text, of: new Set<string>() };
      if (apache) entry.text = APACHE.exec(text)?.[0] ?? text;
      entry.of.add(nameOf(crate));
      texts.set(key, entry);
    }
  }
  return [...texts.values()]
    .map(({ text, of }) => `${[...of].sort().join(", ")}:\n\n${text}\n`)
    .sort().join(`\n${"-".repeat(80)}\n\n`);
}

async function licenseFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const part of ["", ...DEEPER]) {
    try {
      for await (const { name, isFile } of Deno.readDir(join(folder, part))) {
        if (isFile && LICENSE_FILE.test(name)) found.push(join(folder, part, name));
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory)) {
        throw error;
      }
    }
  }
  return found.sort();
}

function nameOf({ name, version }: Crate): string {
  return `${name} ${version}`;
}

try {
  await writeLicenses();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  complain(error.message);
  Deno.exit(error.exitCode);
}
