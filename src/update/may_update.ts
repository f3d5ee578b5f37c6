import type { Config } from "../config/mod.ts";
import { isThere, type Machine } from "../install/machine.ts";
import { findPackage, findRelease } from "../install/release.ts";
import { serviceState } from "../system/systemd.ts";
import { isRoot, whoElseWrites } from "../system/trust.ts";
import { UserError } from "../system/user_error.ts";
import { VERSION } from "../system/version.ts";
import { compareVersions, type UpdateRecord } from "./update_record.ts";
import { publicKeys } from "./signature.ts";
import type { UpdateRequest } from "./update_unit.ts";

/** Files that container engines put into what they run. */
const CONTAINER_MARKS = ["/.dockerenv", "/run/.containerenv"];

/** Where updates come from, and whose signature is believed. */
export interface UpdateOrigin {
  /** A folder, or an https address. */
  source: string;
  /** The text of `update_public_key`. */
  keys: string;
}

/**
 * Where updates of this agent come from.
 *
 * @throws {UserError} where it cannot update itself; it says what to do instead.
 */
export async function updateOrigin(
  config: Pick<Config, "updateSource" | "updatePublicKey">,
  machine: Machine,
): Promise<UpdateOrigin> {
  const byPackage = await findPackage(machine.places);
  const { updateSource: source, updatePublicKey: keys } = config;
  if (byPackage || !source) {
    const how = byPackage ? `run \`sudo ${byPackage.upgrade}\` on it` : await upgradeByHand();
    throw new UserError(`this node is upgraded by its package: ${how}.`);
  }
  if (!keys) {
    throw new UserError(
      "update_public_key is not set, and unsigned code is never installed: set it to the public " +
        "key that the releases of update_source are signed with.",
    );
  }
  await publicKeys(keys);
  if (!isRoot() || !await serviceState(machine.run)) {
    throw new UserError(
      "An agent updates itself only as root and as a service of systemd: upgrade it the way it " +
        "was installed.",
    );
  }
  const stranger = await whoElseWrites(machine.places.config, [0]);
  if (stranger !== undefined) {
    throw new UserError(
      `update_source and update_public_key are not trusted, because ${stranger}: make the ` +
        "configuration root's alone.",
    );
  }
  if (!await isThere(machine.places.program)) {
    throw new UserError(`The agent is not installed in ${machine.places.programFolder}.`);
  }
  return { source, keys };
}

/**
 * Makes sure that a version may take the place of the one that runs.
 *
 * @throws {UserError} for an older one that nobody wants back, and for one that was rolled back.
 */
export function requireWanted(
  { targetVersion, rollback, targetId }: UpdateRequest,
  { rolledBack }: UpdateRecord,
  version = VERSION,
): void {
  if (!rollback && compareVersions(targetVersion, version) < 0) {
    throw new UserError(
      `${targetVersion} is older than ${version}, which runs: only a rollback goes back.`,
    );
  }
  // A person at the machine who asks for it again means it.
  const failed = rolledBack.find((each) => each.version === targetVersion);
  if (targetId === undefined || !failed) return;
  throw new UserError(
    `${targetVersion} failed here (${failed.at}: ${failed.why}) and is not tried again by ` +
      `itself: release another version, or run \`sudo noderax-agent update --target-version ` +
      `${targetVersion}\` on the machine.`,
  );
}

async function upgradeByHand(): Promise<string> {
  for (const mark of CONTAINER_MARKS) {
    if (await isThere(mark)) return "start its container anew from the newer image";
  }
  try {
    await findRelease();
  } catch {
    return "it runs from source, so check the newer release out and start it again";
  }
  return "unpack the newer release on it and run `sudo ./noderax-agent install`, or set " +
    "update_source and update_public_key";
}
