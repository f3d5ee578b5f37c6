import { join } from "@std/path";
import { bundle } from "../scripts/_bundle.ts";
import { ReleaseTree } from "../scripts/_release_tree.ts";
import { makeRunFile } from "../scripts/_run_file.ts";
import { targetOf } from "../scripts/_target.ts";
import { mustRun } from "../scripts/_tool.ts";
import { NAME } from "../src/system/paths.ts";

/** Makes an artefact of a release in a folder; gives the command that starts the agent from it. */
export type Make = (tree: ReleaseTree, folder: string) => Promise<string>;

/** The release of this checkout for this machine, in a folder of its own that everybody may read. */
export class Release implements AsyncDisposable {
  readonly #folder: string;
  readonly #tree: ReleaseTree;

  private constructor(folder: string, tree: ReleaseTree) {
    this.#folder = folder;
    this.#tree = tree;
  }

  static async build(): Promise<Release> {
    const folder = await Deno.makeTempDir({ prefix: "noderax-release-" });
    try {
      await Deno.chmod(folder, 0o755);
      return new Release(folder, await ReleaseTree.make(targetOf(Deno.build.target), folder));
    } catch (error) {
      await Deno.remove(folder, { recursive: true });
      throw error;
    }
  }

  /** Makes one of its artefacts; gives the command that starts the agent from it. */
  command(make: Make): Promise<string> {
    return make(this.#tree, this.#folder);
  }

  /** Removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tree[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** The release as one file, which each user unpacks into a folder that goes with the release. */
export async function runFile(tree: ReleaseTree, folder: string): Promise<string> {
  const file = await makeRunFile(tree, await bundle(tree, folder), folder);
  const unpacked = join(folder, "unpacked");
  await Deno.mkdir(unpacked);
  await Deno.chmod(unpacked, 0o1777);
  const starter = join(folder, "start");
  const ofUser = `${unpacked}/$(stat -L -c %u /proc/self)`;
  const script = `#!/bin/sh\nNODERAX_UNPACK_FOLDER=${ofUser} exec ${file} "$@"\n`;
  await Deno.writeTextFile(starter, script);
  await Deno.chmod(starter, 0o755);
  return starter;
}

/** The portable bundle, unpacked. */
export async function portableBundle(tree: ReleaseTree, folder: string): Promise<string> {
  const archive = await bundle(tree, folder);
  await mustRun("tar", "--extract", "--gzip", "--file", archive, "--directory", folder);
  return join(folder, tree.name, NAME);
}

/** Builds the release and has a program of the tests run on its bundle; gives its exit code. */
export async function onRelease(program: string | undefined, args: string[]): Promise<number> {
  await using release = await Release.build();
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "-P=test", program ?? "", ...args],
    env: { NODERAX_TEST_COMMAND: await release.command(portableBundle) },
    stdin: "null",
  }).spawn().status;
  return code;
}
