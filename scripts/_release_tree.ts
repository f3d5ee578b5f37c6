import { dirname, join } from "@std/path";
import project from "../deno.json" with { type: "json" };
import { NAME } from "../src/system/paths.ts";
import { UserError } from "../src/system/user_error.ts";
import { type CachedPackage, licensesOf } from "./_licenses.ts";
import { launcher } from "./_launcher.ts";
import { type NpmPackage, unpackNpmPackage } from "./_npm_package.ts";
import { StagedProgram } from "./_program.ts";
import type { Revision } from "./_revision.ts";
import { type Target, TARGETS } from "./_target.ts";
import { mustRun } from "./_tool.ts";

/** The Deno that is bundled: the version that all is tested with. */
export const DENO_VERSION = "2.9.6";
/** The checksums that the npm registry states for its packages, `sha512-…`. */
const DENO_INTEGRITY: Record<Target["name"], string> = {
  amd64:
    "sha512-3md4TKLCuzsLDmfOoC5KN7NAZaxSVkMgm64vg6foD00JBADCpYS2/5QqXfzgnP5ZQz3iLP9vBQJtEgc116OAoQ==",
  arm64:
    "sha512-poqhoH9B3nYloigEMPT5t8HY+wBeiuea1An5Q7fqgJzP0SYmWsoS/oUnWO/pEiA4ofzIBy1Elt/in58xKtxEoQ==",
};

/**
 * What a release is, unpacked: `noderax-agent-<version>-linux-<target>/` with the program, `lib` and
 * the licenses. Every artefact is made from it. Owners are whoever builds it; modes and times are
 * those that are released, so that two trees of one commit are the same.
 */
export class ReleaseTree implements AsyncDisposable {
  /** The kind of machine that it is for. */
  readonly target: Target;
  readonly #program: StagedProgram;

  private constructor(target: Target, program: StagedProgram) {
    this.target = target;
    this.#program = program;
  }

  /** Its name, which the artefacts have with their endings. */
  get name(): string {
    return `${NAME}-${project.version}-linux-${this.target.name}`;
  }

  /** Where it lies. */
  get folder(): string {
    return join(this.scratch, this.name);
  }

  /** Around it: room for what is made of it, on the disk of the output, gone with it. */
  get scratch(): string {
    return this.#program.folder;
  }

  /** What it was built from. */
  get revision(): Revision {
    return this.#program.revision;
  }

  /** The lock of the packages that it was made of. */
  get lock(): string {
    return join(this.scratch, "deno.lock");
  }

  /** The npm packages in it, besides the runtime. */
  get packages(): readonly CachedPackage[] {
    return this.#program.packages;
  }

  /** What it runs on: a package for each kind of machine that there is a release for. */
  get runtimes(): readonly NpmPackage[] {
    return TARGETS.map(denoFor);
  }

  /**
   * Builds it in a new folder inside of `parent`.
   *
   * @throws {UserError} when something that it consists of cannot be had.
   */
  static async make(target: Target, parent: string): Promise<ReleaseTree> {
    const deno = denoFor(target);
    const program = await StagedProgram.make(parent);
    const tree = new ReleaseTree(target, program);
    try {
      await tree.#fill(deno);
      return tree;
    } catch (error) {
      await tree[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #fill(deno: NpmPackage): Promise<void> {
    const { folder } = this;
    const program = this.#program;
    const lib = join(folder, "lib");
    await program.bundle(this.target, lib);
    const runtime = join(program.folder, "runtime");
    await unpackNpmPackage(deno, runtime);
    await Deno.rename(join(runtime, "deno"), join(lib, "deno"));
    await Deno.writeTextFile(join(folder, NAME), launcher());
    await Deno.chmod(join(folder, NAME), 0o755);
    await Deno.copyFile(
      join(dirname(import.meta.dirname ?? ""), "LICENSE"),
      join(folder, "LICENSE"),
    );
    await Deno.writeTextFile(
      join(folder, "LICENSES-OF-OTHERS"),
      await licensesOf(program.packages, DENO_VERSION),
    );
    await mustRun("chmod", "-R", "u=rwX,go=rX", folder);
    await mustRun("find", folder, "-exec", "touch", `--date=${this.revision.date}`, "{}", "+");
  }

  /** Removes it, and what was made beside it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }
}

function denoFor(target: Target): NpmPackage {
  const name = `@deno/linux-${target.npm}-glibc`;
  const integrity = DENO_INTEGRITY[target.name];
  if (Deno.version.deno !== DENO_VERSION) {
    throw new UserError(
      `The bundle's Deno is ${DENO_VERSION}, and this is ${Deno.version.deno}: run the task by ` +
        `\`npx -y deno@${DENO_VERSION} task bundle\`, or pin another in scripts/_release_tree.ts.`,
    );
  }
  return { name, version: DENO_VERSION, integrity };
}
