import type { ReleaseTree } from "./_release_tree.ts";
import { mustRun } from "./_tool.ts";

/**
 * Packs a tree, its own folder included, into a file; `compressor` is a command that compresses its
 * standard input. Nothing of when, where and by whom it was built gets into it.
 */
export async function packTree(
  { scratch, name, revision }: ReleaseTree,
  file: string,
  compressor: string,
): Promise<void> {
  await mustRun(
    "tar",
    "--create",
    "--format=gnu",
    "--sort=name",
    `--mtime=${revision.date}`,
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    `--use-compress-program=${compressor}`,
    ...["--file", file, "--directory", scratch, name],
  );
}
