import { dirname, join } from "@std/path";
import * as z from "@zod/zod";
import project from "../deno.json" with { type: "json" };
import type { CachedPackage } from "./_licenses.ts";
import { readRevision, type Revision } from "./_revision.ts";
import { type NpmPackage, unpackNpmPackage } from "./_npm_package.ts";
import type { Target } from "./_target.ts";
import { PREPARE } from "../src/system/paths.ts";
import { UserError } from "../src/system/user_error.ts";
import { mustRun } from "./_tool.ts";

const ROOT = dirname(import.meta.dirname ?? "");
const SOCKET_IO = "socket.io-client";

const Graph = z.object({
  modules: z.array(z.object({
    specifier: z.string(),
    npmPackage: z.string().optional(),
    dependencies: z.array(z.object({ specifier: z.string() })).default([]),
  })),
  /** All that the lock file knows. */
  npmPackages: z.record(
    z.string(),
    z.object({
      name: z.string(),
      version: z.string(),
      localPath: z.string(),
      dependencies: z.array(z.string()),
    }),
  ),
});

const Lock = z.object({ npm: z.record(z.string(), z.object({ integrity: z.string() })) });

/**
 * What Deno reads of the bundled program, beside it: its permissions, which would fill several
 * screens of a process list. A workspace of its own, it looks for no other above it.
 */
function ownConfig(): string {
  const permissions = { default: project.permissions.agent };
  return `${JSON.stringify({ workspace: [], lock: false, permissions }, null, 2)}\n`;
}

const FLAGS = project.tasks.agent.command.split(" ").filter((arg) => arg.startsWith("--"));
const OF_V8 = "--v8-flags=";

/** The flags, besides those of its permissions and V8's, that Deno runs the agent with: as `deno task agent`. */
export const RUNTIME_FLAGS: readonly string[] = FLAGS.filter((flag) => !flag.startsWith(OF_V8));

/** Those of V8: as `deno task agent` states them. */
export const V8_FLAGS: string = FLAGS.filter((flag) => flag.startsWith(OF_V8))
  .map((flag) => flag.slice(OF_V8.length)).join(",");

/** What a bundle has for those of its modules that are CommonJS: there for all, it loads Node's loader at once. */
const REQUIRE = `import { createRequire as __deno_internal_createRequire } from "node:module";
var __require = __deno_internal_createRequire(import.meta.url);
`;
/** The same, once something is required: Node's loader costs 30 ms and 5 MB. */
const LATE_REQUIRE = `var __late;
var __require = (id) => (__late ??= process.getBuiltinModule("node:module").createRequire(import.meta.url))(id);
`;

/**
 * Has none but the modules of a bundle that need it load Node's `require`.
 *
 * @throws {Error} when it is in no file in the form that is known.
 */
export async function requireLate(folder: string): Promise<void> {
  let isFound = false;
  for await (const { name } of Deno.readDir(folder)) {
    const file = join(folder, name);
    const code = name.endsWith(".js") ? await Deno.readTextFile(file) : "";
    if (!code.includes(REQUIRE)) continue;
    isFound = true;
    await Deno.writeTextFile(file, code.replace(REQUIRE, LATE_REQUIRE));
  }
  if (!isFound) throw new Error("the bundle has no require() in the form that is known");
}

/**
 * Has the files of a bundle be loaded when they are imported. What Deno sees that a file may import, it
 * reads and parses with that file, at every start.
 */
async function importLate(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".js")) continue;
    const file = join(folder, name);
    const code = await Deno.readTextFile(file);
    const late = code.replaceAll(/\bimport\(("\.\/[\w.-]+\.js")\)/g, "import([$1][0])");
    if (late !== code) await Deno.writeTextFile(file, late);
  }
}

/**
 * The first file of a bundle: it loads the one for the agent itself, or those for the other commands.
 * An installation has both loaded once: what Deno compiles of them is kept for the first start.
 */
const FIRST = `import { isRun } from "./src/cli/is_run.ts";
if (Deno.args[0] === "${PREPARE}") {
  await Promise.all([import("./daemon.js"), import("./commands.js")]);
  Deno.exit(0);
}
const main = isRun(Deno.args)
  ? (await import("./daemon.js")).daemon
  : (await import("./commands.js")).main;
Deno.exit(await main(Deno.args));
`;
const COMMANDS = `export { main } from "./src/cli/main.ts";\n`;

/**
 * A copy of what the agent is made of and of nothing else, in a folder of its own: what a release
 * is built from.
 */
export class StagedProgram implements AsyncDisposable {
  /** What is built from. */
  readonly folder: string;
  /** What it is a copy of. */
  readonly revision: Revision;
  #packages: CachedPackage[] = [];

  private constructor(folder: string, revision: Revision) {
    this.folder = folder;
    this.revision = revision;
  }

  /** The first module. */
  get main(): string {
    return join(this.folder, "mod.ts");
  }

  /** The configuration that Deno is to use for it. */
  get config(): string {
    return join(this.folder, "deno.json");
  }

  /** The npm packages that the program uses, and those that they use. */
  get packages(): readonly CachedPackage[] {
    return this.#packages;
  }

  /** Copies the checkout's program into a new folder inside of `parent`. */
  static async make(parent: string): Promise<StagedProgram> {
    await Deno.mkdir(parent, { recursive: true });
    const revision = await readRevision(ROOT);
    const program = new StagedProgram(
      await Deno.makeTempDir({ dir: parent, prefix: ".stage-" }),
      revision,
    );
    try {
      await program.#fill();
      return program;
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Bundles it for a target into a folder: `agent.js` and what that loads, the part of node-pty that
   * is machine code where node-pty finds it, and the `deno.json` that states its permissions.
   *
   * @throws {UserError} when something that it consists of cannot be had.
   */
  async bundle(target: Target, folder: string): Promise<void> {
    // The agent itself is one file, of which each module runs when it is imported: with all of it apart,
    // a start reads seventy. For the other commands the modules stay apart where they are loaded late.
    // Their names depend on where all that is bundled lies, as seen from the current folder: it lies there.
    // Not minified: that inlines what is read once, which then is never disposed of. And with
    // --keep-names, node-pty's calls of require() would be left without one.
    const own = ["--external", "./daemon.js", "--external", "./commands.js"];
    await this.#write("agent.ts", FIRST);
    await this.#write("commands.ts", COMMANDS);
    await this.#bundle("commands.ts", "--code-splitting", "--outdir", folder);
    await this.#bundle("src/cli/daemon.ts", "--output", join(folder, "daemon.js"));
    await this.#bundle("agent.ts", ...own, "--output", join(folder, "agent.js"));
    await importLate(folder);
    await requireLate(folder);
    const addon = await this.#addonFor(target);
    await unpackNpmPackage(addon, join(folder, "node_modules", addon.name));
    await Deno.writeTextFile(join(folder, "deno.json"), ownConfig());
  }

  async #bundle(main: string, ...flags: string[]): Promise<void> {
    const bundle = [Deno.execPath(), "bundle", "--platform=deno", "--node-modules-dir=auto"];
    await mustRun("env", `--chdir=${this.folder}`, ...bundle, ...flags, main);
  }

  async #addonFor(target: Target): Promise<NpmPackage> {
    const lock = await Deno.readTextFile(join(this.folder, "deno.lock"));
    const { npm } = Lock.parse(JSON.parse(lock));
    const name = `@lydell/node-pty-linux-${target.npm}`;
    const version = project.imports["node-pty"].split("@").at(-1) ?? "";
    const integrity = npm[`${name}@${version}`]?.integrity;
    if (!integrity) throw new UserError(`deno.lock has no ${name}@${version}.`);
    return { name, version, integrity };
  }

  async #fill(): Promise<void> {
    const info = await mustRun(Deno.execPath(), "info", "--json", join(ROOT, "mod.ts"));
    const { modules, npmPackages } = Graph.parse(JSON.parse(info));
    const needed = new Set(modules.flatMap(({ npmPackage }) => npmPackage ?? []));
    // A set that grows while it is walked through is walked through to its end.
    for (const id of needed) npmPackages[id]?.dependencies.forEach((each) => needed.add(each));
    this.#packages = [...needed].flatMap((id) => npmPackages[id] ?? []);
    const rootUrl = new URL(`file://${ROOT}/`).href;
    for (const { specifier } of modules) {
      if (specifier.startsWith(rootUrl)) await this.#copy(specifier.slice(rootUrl.length));
    }
    await this.#copy("deno.lock");
    await this.#bundleSocketIo();
    await this.#write("src/system/build.json", JSON.stringify(this.revision));

    const used = new Set(
      modules.flatMap((it) => it.dependencies.map((needed) => needed.specifier)),
    );
    const imports = Object.entries(project.imports).filter(([name]) => used.has(name));
    const { name, version, license, exports, compilerOptions, permissions: { agent } } = project;
    const config = {
      ...{ name, version, license, exports, compilerOptions, permissions: { agent } },
      imports: { ...Object.fromEntries(imports), [SOCKET_IO]: "./socket_io.js" },
    };
    await this.#write("deno.json", JSON.stringify(config, null, 2));
  }

  /**
   * The client's build for browsers: the one for Node loads Node's HTTP, TLS and processes, which
   * the agent's own transport does without. Its package exports it to bundlers only.
   */
  async #bundleSocketIo(): Promise<void> {
    const from = project.imports[SOCKET_IO];
    const entry = join(this.folder, "socket_io.ts");
    const bundled = join(this.folder, "socket_io.js");
    await Deno.writeTextFile(entry, `export * from "${from}";\n`);
    const flags = ["--platform", "browser", "--config", join(ROOT, "deno.json")];
    await mustRun(Deno.execPath(), "bundle", ...flags, "--output", bundled, entry);
    await Deno.remove(entry);
    const code = await Deno.readTextFile(bundled);
    await this.#write("socket_io.js", `// @ts-self-types="${from}"\n${code}`);
  }

  async #copy(path: string): Promise<void> {
    await this.#write(path, await Deno.readTextFile(join(ROOT, path)));
  }

  async #write(path: string, text: string): Promise<void> {
    const file = join(this.folder, path);
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeTextFile(file, text);
  }

  /** Removes the copy, and what was built in its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}
