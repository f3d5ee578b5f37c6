import { mustRun } from "./_tool.ts";

/** What a release is built from. */
export interface Revision {
  /** The commit's hash; ends in `-dirty` when the checkout has changes that are not committed. */
  readonly commit: string;
  /** When it was committed, in ISO 8601: two builds of one commit state the same. */
  readonly date: string;
}

/** Asks git for the revision of a checkout. */
export async function readRevision(root: string): Promise<Revision> {
  // Whoever builds it trusts the checkout, whosever it is, and leaves no file of their own in it.
  const git = ["git", "--no-optional-locks", "-c", `safe.directory=${root}`, "-C", root] as const;
  const [hash = "", seconds] = (await mustRun(...git, "log", "-1", "--format=%H %ct")).split(" ");
  const changes = await mustRun(...git, "status", "--porcelain");
  return {
    commit: changes ? `${hash}-dirty` : hash,
    date: new Date(Number(seconds) * 1_000).toISOString(),
  };
}
