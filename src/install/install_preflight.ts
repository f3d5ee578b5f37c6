import { dirname } from "@std/path";
import { requireControlPlane } from "../control_plane/api_answer.ts";
import type { LoadedConfig } from "../config/mod.ts";
import { SERVICE } from "../system/paths.ts";
import { statfs } from "../system/statfs.ts";
import { serviceState } from "../system/systemd.ts";
import { UserError } from "../system/user_error.ts";
import { refuseForeignLink } from "./installed_program.ts";
import { isThere, type Machine, must, requireOwnLife } from "./machine.ts";
import { refuseOverPackage, type Release } from "./release.ts";
import type { Step } from "./steps.ts";

/** Kept free beside the program: for the state folder, where it is on the same disk. */
const SPARE_MB = 50;

/** Looks whether this machine can be installed on; changes nothing. */
export function preflight(machine: Machine, release: Release): Step {
  return {
    name: "Machine",
    begins: "dependencies_installing",
    ends: "dependencies_ready",
    looks: true,
    async run() {
      const { run, places } = machine;
      const state = await serviceState(run);
      if (!state) {
        throw new UserError(
          "systemd does not run this machine, so there can be no service: run the agent by hand, " +
            "with `noderax-agent enroll` and `noderax-agent run`.",
        );
      }
      if (state.load === "masked") {
        throw new UserError(
          `The service is masked: run \`sudo systemctl unmask ${SERVICE}\`, then install again.`,
        );
      }
      requireOwnLife(machine, `${release.program} install`);
      await refuseForeignLink(places);
      await refuseOverPackage(places, release);
      const free = await requireSpace(machine, release.parts.map(({ from }) => from));
      const [version = "systemd"] = (await must(run, "systemctl", "--version")).split(" (");
      const told = `${version}, ${free} MB free in ${dirname(places.programFolder)}`;
      return { told, changed: false };
    },
  };
}

/** Looks whether the control plane answers where the configuration will say; changes nothing. */
export function controlPlane(config: () => Promise<LoadedConfig>): Step {
  return {
    name: "Control plane",
    looks: true,
    async run() {
      const loaded = await config();
      await requireControlPlane(loaded);
      return { told: `${loaded.config.apiUrl} answers`, changed: false };
    },
  };
}

/**
 * Looks whether there is room for so many copies of `paths` beside the program, as the new one lies
 * beside the old one for a while. Gives the free space in MB.
 *
 * @throws {UserError} when there is not.
 */
export async function requireSpace(
  { places, run }: Machine,
  paths: readonly string[],
  copies = 1,
): Promise<number> {
  const listed = await must(run, "du", "-sck", ...paths);
  const programKb = Number.parseInt(listed.split("\n").at(-1) ?? "");
  const neededMb = Math.ceil(copies * programKb / 1024) + SPARE_MB;
  const { bavail, bsize } = await statfs(await nearestFolder(dirname(places.programFolder)));
  const freeMb = Math.floor(bavail * bsize / 2 ** 20);
  if (freeMb >= neededMb) return freeMb;
  throw new UserError(
    `${
      dirname(places.programFolder)
    } has ${freeMb} MB free, but the program needs ${neededMb} MB: ` +
      "make room, then try again.",
  );
}

async function nearestFolder(path: string): Promise<string> {
  return await isThere(path) ? path : await nearestFolder(dirname(path));
}
