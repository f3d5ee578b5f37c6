import { dirname, join } from "@std/path";
import * as z from "@zod/zod";
import project from "../deno.json" with { type: "json" };
import type { CachedPackage } from "./_licenses.ts";
import { readRevision, type Revision } from "./_revision.ts";
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

/**
 * The flags, besides those of its permissions, that Deno runs the agent with: as `deno task agent`
 * states them.
 */
export const RUNTIME_FLAGS: readonly string[] = project.tasks.agent.command.split(" ")
  .filter((arg) => arg.startsWith("--"));

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
    // A compiled program holds the times of its files.
    await Deno.utime(file, new Date(this.revision.date), new Date(this.revision.date));
  }

  /** Removes the copy, and what was built in its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}
