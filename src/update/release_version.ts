import * as z from "@zod/zod";

/** A version as releases have it, such as `2.1.0` or `2.1.0-rc.1`: it names folders and files. */
export const ReleaseVersion = z.string().max(64).regex(
  /^\d{1,9}\.\d{1,9}\.\d{1,9}(-[0-9A-Za-z]+(\.[0-9A-Za-z]+)*)?$/,
  'must be a version such as "2.1.0"',
);

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
