import { join } from "@std/path";
import * as z from "@zod/zod";
import project from "../deno.json" with { type: "json" };
import { NAME } from "../src/system/paths.ts";
import { type CachedPackage, cratesOf } from "./_licenses.ts";
import type { NpmPackage } from "./_npm_package.ts";
import type { ReleaseTree } from "./_release_tree.ts";

const Lock = z.object({
  npm: z.record(
    z.string(),
    z.object({
      integrity: z.string(),
      dependencies: z.array(z.string()).default([]),
      optionalDependencies: z.array(z.string()).default([]),
      os: z.array(z.string()).default(["linux"]),
    }),
  ),
});
const Package = z.object({ license: z.string().optional() });

/** What {@linkcode writeSbom} reads of a tree. */
export type SbomTree = Pick<ReleaseTree, "lock" | "packages" | "revision" | "runtimes">;

/**
 * Writes what a release consists of, `noderax-agent-<version>.cdx.json` (CycloneDX 1.6), into a
 * folder; gives its path. The npm packages and their hashes are those of the lock; Deno's crates those
 * of its own.
 */
export async function writeSbom(tree: SbomTree, outputFolder: string): Promise<string> {
  const { npm } = Lock.parse(JSON.parse(await Deno.readTextFile(tree.lock)));
  const packages = tree.packages.filter(({ name, version }) =>
    npm[`${name}@${version}`]?.os.includes("linux")
  );
  const refs = new Map(packages.map((it) => [it.name, npmRef(it)]));
  const crates = await cratesOf(tree.runtimes[0]?.version ?? "");
  const runtime = (it: NpmPackage) => ({
    ...npmComponent(it, it.integrity, "MIT"),
    type: "application",
  });
  const self = {
    type: "application",
    "bom-ref": NAME,
    name: NAME,
    version: project.version,
    purl: `pkg:generic/${NAME}@${project.version}`,
    licenses: [{ license: { id: project.license } }],
    properties: [{ name: "commit", value: tree.revision.commit }],
  };
  const sbom = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: await serialNumber(tree.revision.commit),
    version: 1,
    metadata: { timestamp: tree.revision.date, component: self },
    components: [
      ...await Promise.all(
        packages.map(async (it) =>
          npmComponent(it, npm[`${it.name}@${it.version}`]?.integrity, await licenseOf(it))
        ),
      ),
      ...tree.runtimes.map(runtime),
      ...crates.map(({ name, version, license, sha256 }) => ({
        type: "library",
        "bom-ref": cargoRef(name, version),
        name,
        version,
        purl: cargoRef(name, version),
        ...license ? { licenses: [{ expression: license }] } : {},
        ...sha256 ? { hashes: [{ alg: "SHA-256", content: sha256 }] } : {},
      })),
    ],
    dependencies: [
      { ref: NAME, dependsOn: [...directOf(refs), ...tree.runtimes.map(npmRef)] },
      ...packages.map((it) => {
        const entry = npm[`${it.name}@${it.version}`];
        const names = [...entry?.dependencies ?? [], ...entry?.optionalDependencies ?? []];
        const dependsOn = names.flatMap((name) => refs.get(nameOf(name)) ?? []);
        return { ref: npmRef(it), dependsOn };
      }),
      ...tree.runtimes.map((it) => ({
        ref: npmRef(it),
        dependsOn: crates.map(({ name, version }) => cargoRef(name, version)),
      })),
    ],
  };
  const path = join(outputFolder, `${NAME}-${project.version}.cdx.json`);
  await Deno.writeTextFile(path, `${JSON.stringify(sbom, null, 2)}\n`);
  return path;
}

/** What the agent's own modules import. */
function directOf(refs: ReadonlyMap<string, string>): string[] {
  return Object.values(project.imports).flatMap((specifier) =>
    specifier.startsWith("npm:") ? refs.get(nameOf(specifier.slice("npm:".length))) ?? [] : []
  );
}

/** Of `name`, or of `name@version`. */
function nameOf(specifier: string): string {
  return /^(@?[^@]+)/.exec(specifier)?.[1] ?? specifier;
}

function npmComponent(it: Omit<CachedPackage, "localPath">, integrity = "", license?: string) {
  const sha512 = Uint8Array.fromBase64(integrity.replace(/^sha512-/, "")).toHex();
  return {
    type: "library",
    "bom-ref": npmRef(it),
    name: it.name,
    version: it.version,
    purl: npmRef(it),
    ...license ? { licenses: [{ expression: license }] } : {},
    hashes: [{ alg: "SHA-512", content: sha512 }],
  };
}

function npmRef({ name, version }: { name: string; version: string }): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

function cargoRef(name: string, version: string): string {
  return `pkg:cargo/${name}@${version.replaceAll("+", "%2B")}`;
}

/** A package for another kind of machine than this is not in the cache; it is a part of its parent. */
async function licenseOf({ localPath }: CachedPackage): Promise<string | undefined> {
  try {
    return Package.parse(JSON.parse(await Deno.readTextFile(join(localPath, "package.json"))))
      .license;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return undefined;
  }
}

/** The same for every build of a commit. */
async function serialNumber(commit: string): Promise<string> {
  const digest = await crypto.subtle.digest(
    "SHA-256",
    new TextEncoder().encode(`${NAME} ${commit}`),
  );
  const bytes = new Uint8Array(digest).slice(0, 16);
  bytes[6] = (bytes[6] ?? 0) & 0x0f | 0x80;
  bytes[8] = (bytes[8] ?? 0) & 0x3f | 0x80;
  return `urn:uuid:${bytes.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")}`;
}
