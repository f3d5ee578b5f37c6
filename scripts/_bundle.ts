import { join } from "@std/path";
import { ReleaseTree } from "./_release_tree.ts";
import { packTree } from "./_tar.ts";
import type { Target } from "./_target.ts";

/**
 * Makes the portable bundle, `noderax-agent-<version>-linux-<target>.tar.gz`, in a folder; gives
 * its path. Two builds of one commit are the same bytes.
 *
 * @throws {UserError} when something that it consists of cannot be had.
 */
export async function buildBundle(target: Target, outputFolder: string): Promise<string> {
  await using tree = await ReleaseTree.make(target, outputFolder);
  return await bundle(tree, outputFolder);
}

/** {@linkcode buildBundle} from a tree that is there. */
export async function bundle(tree: ReleaseTree, outputFolder: string): Promise<string> {
  const file = `${tree.name}.tar.gz`;
  const made = join(tree.scratch, file);
  await packTree(tree, made, "gzip -n");
  const path = join(outputFolder, file);
  await Deno.rename(made, path);
  return path;
}
