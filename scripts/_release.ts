import { buildDeb } from "./_deb.ts";
import { bundle } from "./_bundle.ts";
import { ReleaseTree } from "./_release_tree.ts";
import { buildRpm } from "./_rpm.ts";
import { makeRunFile } from "./_run_file.ts";
import { writeSbom } from "./_sbom.ts";
import type { Target } from "./_target.ts";

/**
 * Makes all that is released for these kinds of machine, in a folder: bundle, `.run` file and packages
 * of each, and what they consist of. Gives their paths. Two builds of one commit are the same bytes.
 *
 * @throws {UserError} when something that is needed is not there.
 */
export async function buildRelease(
  targets: readonly Target[],
  outputFolder: string,
): Promise<string[]> {
  const paths: string[] = [];
  for (const target of targets) {
    await using tree = await ReleaseTree.make(target, outputFolder);
    const archive = await bundle(tree, outputFolder);
    paths.push(archive, await makeRunFile(tree, archive, outputFolder));
    paths.push(await buildDeb({ tree, outputFolder }), await buildRpm({ tree, outputFolder }));
    if (target === targets.at(-1)) paths.push(await writeSbom(tree, outputFolder));
  }
  return paths;
}
