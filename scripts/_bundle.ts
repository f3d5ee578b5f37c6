import { join } from "@std/path";
import { ReleaseTree } from "./_release_tree.ts";
import { makeRunFile } from "./_run_file.ts";
import { packTree } from "./_tar.ts";
import type { Target } from "./_target.ts";

/**
 * Makes the release in the two forms that need nothing to be built with but what is everywhere, in a
 * folder: the portable bundle, `noderax-agent-<version>-linux-<target>.tar.gz`, and the same as one
 * file, `….run`. Gives their paths. Two builds of one commit are the same bytes.
 *
 * @throws {UserError} when something that they consist of cannot be had.
 */
export async function buildBundle(
  target: Target,
  outputFolder: string,
): Promise<{ archive: string; runFile: string }> {
  await using tree = await ReleaseTree.make(target, outputFolder);
  const archive = await bundle(tree, outputFolder);
  return { archive, runFile: await makeRunFile(tree, archive, outputFolder) };
}

/** Makes the portable bundle of a tree in a folder; gives its path. */
export async function bundle(tree: ReleaseTree, outputFolder: string): Promise<string> {
  const file = `${tree.name}.tar.gz`;
  const made = join(tree.scratch, file);
  await packTree(tree, made, "gzip -n");
  const path = join(outputFolder, file);
  await Deno.rename(made, path);
  return path;
}
