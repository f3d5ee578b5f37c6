import { buildDeb } from "./_deb.ts";
import { ReleaseTree } from "./_release_tree.ts";
import { buildRpm } from "./_rpm.ts";
import type { Target } from "./_target.ts";

/**
 * Makes the packages for Debian and for RPM in a folder; gives their paths. Two builds of one commit
 * are the same bytes.
 *
 * @throws {UserError} when something that they consist of, or that makes them, cannot be had.
 */
export async function buildPackages(
  target: Target,
  outputFolder: string,
): Promise<{ deb: string; rpm: string }> {
  await using tree = await ReleaseTree.make(target, outputFolder);
  const parts = { tree, outputFolder };
  return { deb: await buildDeb(parts), rpm: await buildRpm(parts) };
}
