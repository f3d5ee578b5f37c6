import * as z from "@zod/zod";
import { ChangePayload, type ChangeRequest, type Operation, requestOf } from "./package_manager.ts";
import type { RpmRecord } from "./rpm_database.ts";

/** What rpm calls a package, an architecture or a version behind it; no file name is longer. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.+~^-]{0,254}$/;
/** An epoch stands before the version: name-1:2.0-3.x86_64. */
const EPOCH = /-\d+:(?=[A-Za-z0-9])/;
/** What dnf takes for a file. */
const FILE = /\.rpm$/i;

const RpmName = z.string().refine(
  (name) => NAME.test(name.replace(EPOCH, "-")) && !FILE.test(name),
  "is no package name, with -version-release or .architecture at most",
);
const Change = ChangePayload(RpmName);

/**
 * Reads the payload of a package task where packages are rpm's: no addresses, paths, patterns, groups
 * or options.
 *
 * @throws {z.ZodError} for a name that rpm does not allow, and if there is none.
 */
export function parseRpmRequest(operation: Operation, payload: unknown): ChangeRequest {
  return requestOf(operation, Change.parse(payload));
}

/** The installed packages that a checked name stands for. */
export function installedAs(name: string, records: RpmRecord[]): RpmRecord[] {
  return records.filter((record) => {
    const { nevra, architecture: arch } = record;
    const base = record.name;
    const full = nevra.slice(base.length + 1, -arch.length - 1);
    const version = full.replace(/^\d+:/, "");
    const number = version.slice(0, version.lastIndexOf("-"));
    const evrs = [full, version, number, full.slice(0, full.lastIndexOf("-"))];
    const ways = [base, ...evrs.map((evr) => `${base}-${evr}`)];
    return ways.some((way) => way === name || `${way}.${arch}` === name);
  });
}
