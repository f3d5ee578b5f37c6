import { basename, dirname, join } from "@std/path";
import { buildBundle } from "../../scripts/_bundle.ts";
import { buildDeb } from "../../scripts/_deb.ts";
import { readRevision } from "../../scripts/_revision.ts";
import { buildRpm } from "../../scripts/_rpm.ts";
import { targetOf } from "../../scripts/_target.ts";
import { mustRun } from "../../scripts/_tool.ts";
import { VERSION } from "../../src/system/version.ts";
import { TemporaryFolder } from "./_temporary_folder.ts";

/** What can be installed; made in a folder of its own. */
export class Bundles implements AsyncDisposable {
  readonly #folder: TemporaryFolder;
  /** The archive's name without its ending: what is released. */
  readonly archive: string;
  /** The version of `next`, which is `first` but for that. */
  readonly nextVersion = "99.0.0";

  private constructor(folder: TemporaryFolder, archive: string) {
    this.#folder = folder;
    this.archive = archive;
  }

  /** Builds the portable bundle as it is released, and makes others of it. */
  static async make(): Promise<Bundles> {
    const folder = await TemporaryFolder.make({ prefix: "noderax-bundles-" });
    try {
      const { archive: path } = await buildBundle(targetOf(Deno.build.target), folder.path);
      const bundles = new Bundles(folder, basename(path, ".tar.gz"));
      await bundles.#unpack(path);
      await bundles.bump("next", bundles.nextVersion);
      await bundles.#makeBroken();
      await bundles.#makePackages();
      return bundles;
    } catch (error) {
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Holds the archive, the folders `first`, `next` and `broken`, and packages of the first two. */
  get folder(): string {
    return this.#folder.path;
  }

  async #unpack(path: string): Promise<void> {
    await Deno.chmod(this.folder, 0o755);
    const first = join(this.folder, "first");
    await Deno.mkdir(first);
    const extract = ["--extract", "--no-same-owner", "--strip-components=1"];
    await mustRun("tar", ...extract, "--file", path, "--directory", first);
  }

  async #copyOf(from: string, name: string): Promise<string> {
    const copy = join(this.folder, name);
    await mustRun("cp", "-R", join(this.folder, from), copy);
    return copy;
  }

  /** Makes a bundle of another that is like it but for its version, in whichever files have it. */
  async bump(name: string, version: string, from = "first"): Promise<void> {
    const lib = join(await this.#copyOf(from, name), "lib");
    let places = 0;
    for await (const { name } of Deno.readDir(lib)) {
      if (!name.endsWith(".js")) continue;
      const program = await Deno.readTextFile(join(lib, name));
      const parts = program.split(`version: "${VERSION}"`);
      places += parts.length - 1;
      await Deno.writeTextFile(join(lib, name), parts.join(`version: "${version}"`));
    }
    if (places === 0) throw new Error("the bundle has its version nowhere");
  }

  /** It installs, but what it has installed does not run. */
  async #makeBroken(): Promise<void> {
    const launcher = join(await this.#copyOf("first", "broken"), "noderax-agent");
    const script = await Deno.readTextFile(launcher);
    await Deno.writeTextFile(
      launcher,
      script.replace("\n", '\n[ "${1-}" != run ] || { echo "I am broken" >&2; exit 1; }\n'),
    );
  }

  /** Not compressed, as a test is better quick than small. */
  async #makePackages(): Promise<void> {
    const target = targetOf(Deno.build.target);
    const revision = await readRevision(dirname(dirname(import.meta.dirname ?? "")));
    for (const [name, version] of [["first", VERSION], ["next", this.nextVersion]] as const) {
      const folder = join(this.folder, name);
      const tree = { folder, name, scratch: this.folder, target, revision };
      const parts = { tree, version, outputFolder: this.folder, compression: "none" } as const;
      await buildDeb(parts);
      await buildRpm(parts);
    }
  }

  /** Removes them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }
}
