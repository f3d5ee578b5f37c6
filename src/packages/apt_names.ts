import * as z from "@zod/zod";
import { UserError } from "../system/user_error.ts";
import { ChangePayload, type ChangeRequest, type Operation, requestOf } from "./package_manager.ts";
import type { Query } from "./query.ts";

/** Debian Policy 5.6.7, and an architecture behind it. */
const NAME = "[a-z0-9][a-z0-9+.-]+(?::[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)?";
/** apt would take a `+` or `-` at the very end for an order of its own. */
const VERSION = "=[0-9](?:[A-Za-z0-9.+:~-]*[A-Za-z0-9.~])?";
const SUITE = "/[A-Za-z0-9](?:[A-Za-z0-9._~+-]*[A-Za-z0-9])?";
/** What apt might take for a file. */
const FILE = /\.(deb|ddeb|udeb|dsc|changes)$/;

const BARE = new RegExp(`^${NAME}$`);
const EXACT = new RegExp(`^${NAME}(?:${VERSION}|${SUITE})?$`);

const InstallName = z.string().refine(
  (name) => EXACT.test(name) && !(name.includes("/") && FILE.test(name)),
  "is no package name, with :architecture, =version or /suite at most",
);
const BareName = z.string().regex(BARE, "is no package name, with :architecture at most");

const Payloads = {
  install: ChangePayload(InstallName),
  remove: ChangePayload(BareName),
  purge: ChangePayload(BareName),
};

/**
 * Reads the payload of a package task; the same names may arrive three times (contract: Types).
 *
 * @throws {z.ZodError} for a name that Debian does not allow, and if there is none.
 */
export function parseAptRequest(operation: Operation, payload: unknown): ChangeRequest {
  return requestOf(operation, Payloads[operation].parse(payload));
}

/**
 * Refuses names that apt would take for something else if it does not know them: it searches for
 * one with a dot or a plus as a regular expression, and reads `foo-` as "remove foo", `foo+` as
 * "install foo".
 *
 * @throws {UserError} for an unknown name of that kind, in apt's words.
 */
export async function refuseUnknown(names: string[], query: Query): Promise<void> {
  const doubtful = names.map((name) => name.replace(/[:=/].*/, ""))
    .filter((name) => /[.+]|-$/.test(name));
  if (doubtful.length === 0) return;
  const { stdout } = await query("apt-cache", "pkgnames");
  const known = new Set(stdout.split("\n"));
  const unreal = doubtful.filter((name) => !known.has(name));
  if (unreal.length === 0) return;
  const provided = await providedAmong(unreal, query);
  const unknown = unreal.filter((name) => !provided.has(name));
  if (unknown.length > 0) throw new UserError(`Unable to locate package ${unknown.join(", ")}`);
}

/** Those of the names that no package has, but some package provides. */
async function providedAmong(names: string[], query: Query): Promise<Set<string | undefined>> {
  const exactly = ["-o", "APT::Cmd::Pattern-Only=true"];
  const { stdout } = await query("apt-cache", ...exactly, "showpkg", "--", ...names);
  const told = stdout.split(/^Package: /m).filter((text) => /^Reverse Provides: *\n\S/m.test(text));
  return new Set(told.map((text) => text.split("\n")[0]));
}

/** A checked name as apt takes it for nothing else: with an architecture, `+` and `-` do not end it. */
export function asArgument(name: string): string {
  return /[+-]$/.test(name) ? `${name}:native` : name;
}
