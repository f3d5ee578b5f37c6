import { join } from "@std/path";
import * as z from "@zod/zod";
import { writeFileAtomic } from "../system/atomic_file.ts";
import { readOwn } from "../system/own_file.ts";

/** A version as releases have it, such as `2.1.0` or `2.1.0-rc.1`: it names folders and files. */
export const ReleaseVersion = z.string().max(64).regex(
  /^\d{1,9}\.\d{1,9}\.\d{1,9}(-[0-9A-Za-z]+(\.[0-9A-Za-z]+)*)?$/,
  'must be a version such as "2.1.0"',
);

/** So many failed versions are remembered. */
const MAX_ROLLED_BACK = 10;

/** The shape of {@linkcode Update}. */
const Update = z.object({
  /** What the control plane calls it; a person's has none. */
  targetId: z.string().optional(),
  targetVersion: ReleaseVersion,
  /** What it is at. */
  step: z.string(),
  percent: z.int(),
  /** Why it has failed. */
  failed: z.string().optional(),
  /** Whether nothing is left to be done or told. */
  closed: z.boolean(),
});
/** The update that is under way, or was the last one. */
export type Update = z.infer<typeof Update>;

/** The shape of {@linkcode UpdateRecord}. */
const UpdateRecord = z.object({
  version: z.literal(1),
  last: Update.optional(),
  /** The versions that failed and were rolled back, the latest first: none is tried again by itself. */
  rolledBack: z.array(z.object({ version: ReleaseVersion, at: z.string(), why: z.string() })),
});
/** What is remembered of updates. */
export type UpdateRecord = z.infer<typeof UpdateRecord>;

/**
 * Reads what is remembered of updates in a state folder. A file that is damaged, or that others could
 * have written, says nothing: the worst that comes of it is that a version is tried once more.
 */
export async function readUpdateRecord(stateFolder: string): Promise<UpdateRecord> {
  try {
    return UpdateRecord.parse(JSON.parse(await readOwn(pathIn(stateFolder))));
  } catch {
    return { version: 1, rolledBack: [] };
  }
}

/** Remembers that a version failed, as the latest of those that did. */
export function rememberRolledBack(record: UpdateRecord, version: string, why: string): void {
  forgetRolledBack(record, version);
  record.rolledBack.unshift({ version, at: new Date().toISOString(), why });
  record.rolledBack.splice(MAX_ROLLED_BACK);
}

/** Forgets that a version failed: it serves now. */
export function forgetRolledBack(record: UpdateRecord, version: string): void {
  record.rolledBack = record.rolledBack.filter((each) => each.version !== version);
}

/** Writes what is to be remembered of updates. */
export async function writeUpdateRecord(stateFolder: string, record: UpdateRecord): Promise<void> {
  await writeFileAtomic(pathIn(stateFolder), JSON.stringify(record));
}

function pathIn(stateFolder: string): string {
  return join(stateFolder, "update.json");
}

/** Below 0 when `a` is older than `b`, above 0 when it is newer, 0 when they are one version. */
export function compareVersions(a: string, b: string): number {
  const [[release, beta], [otherRelease, otherBeta]] = [split(a), split(b)];
  const difference = compareParts(release, otherRelease);
  if (difference !== 0) return difference;
  // A pre-release is older than its release.
  if (beta === "" || otherBeta === "") return Number(beta === "") - Number(otherBeta === "");
  return compareParts(beta, otherBeta);
}

function split(version: string): [release: string, beta: string] {
  const at = version.indexOf("-");
  return at < 0 ? [version, ""] : [version.slice(0, at), version.slice(at + 1)];
}

function compareParts(a: string, b: string): number {
  const [parts, others] = [a.split("."), b.split(".")];
  for (const [at, part] of parts.entries()) {
    const other = others[at];
    if (other === undefined) return 1;
    if (part === other) continue;
    const [isNumber, otherIsNumber] = [/^\d+$/.test(part), /^\d+$/.test(other)];
    // As semantic versioning has it: numbers are older than words.
    if (isNumber !== otherIsNumber) return isNumber ? -1 : 1;
    const difference = isNumber ? Number(part) - Number(other) : part < other ? -1 : 1;
    if (difference !== 0) return difference;
  }
  return parts.length - others.length;
}
