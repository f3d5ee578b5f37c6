import { NAME, SERVICE, SERVICE_USER, SLICE } from "../system/paths.ts";
import { serviceState } from "../system/systemd.ts";
import { messageOf } from "../system/user_error.ts";
import { findAccount, removeAccount } from "./account.ts";
import { newProgram, oldProgram, removeLink } from "./installed_program.ts";
import { foldersAside } from "./kept_file.ts";
import {
  isThere,
  lockInstallation,
  type Machine,
  must,
  type Places,
  removeAll,
  requireOwnLife,
} from "./machine.ts";
import { refuseToRemovePackage } from "./release.ts";

/** What {@linkcode uninstallAgent} is told. */
export interface UninstallOptions {
  /** Removes configuration, state and the user too. */
  purge: boolean;
  /** Takes text for the person. */
  print: (text: string) => void;
  /** Hears of each part that could not be removed. */
  warn: (sentence: string) => void;
}

/**
 * Stops the service and removes what install has made, a half of it too, saying what was removed
 * and what is kept. Gives whether something could not be removed. Throws a {@linkcode UserError} where
 * a package has installed the agent.
 */
export async function uninstallAgent(
  machine: Machine,
  options: UninstallOptions,
): Promise<boolean> {
  const { places } = machine;
  const { purge, print, warn } = options;
  await refuseToRemovePackage(places);
  requireOwnLife(machine, `${NAME} uninstall`, { stops: true });
  await using _lock = await lockInstallation(places);
  let failed = false;
  const remove = async (what: string, body: () => Promise<boolean>) => {
    try {
      if (await body()) print(`Removed: ${what}\n`);
    } catch (error) {
      failed = true;
      warn(`not removed: ${what} (${messageOf(error)})`);
    }
  };
  // Nothing is taken from under a service that does not stop.
  if (await removeService(machine)) print(`Removed: ${places.unit}, and the service is stopped\n`);
  await remove(places.link, () => removeLink(places));
  const folders = [
    places.programFolder,
    oldProgram(places),
    newProgram(places),
    places.cacheFolder,
    places.runtimeFolder,
    ...purge ? await foldersOfSettings(places) : [],
  ];
  for (const folder of folders) await remove(folder, () => removeAll(folder));
  if (purge) await remove(`user ${SERVICE_USER} and its home`, () => removeAccount(machine.run));
  await tellRest(machine, print);
  return failed;
}

/**
 * What only a purge removes, as far as it is there, a line each for a person. Throws a
 * {@linkcode UserError} where a package has installed the agent.
 */
export async function purgedParts({ places, run }: Machine): Promise<string[]> {
  await refuseToRemovePackage(places);
  const account = await findAccount(run);
  return [
    ...await foldersOfSettings(places),
    ...account?.ours ? [`user ${SERVICE_USER} and its home ${account.home}`] : [],
  ];
}

/**
 * Configuration, state and changes of the unit, as far as they are there. Those that were set aside
 * when an earlier agent was taken over hold secrets as well.
 */
async function foldersOfSettings({ configFolder, stateFolder, unit }: Places): Promise<string[]> {
  const folders = [
    configFolder,
    ...await foldersAside(configFolder),
    stateFolder,
    ...await foldersAside(stateFolder),
    `${unit}.d`,
  ];
  const there = await Promise.all(folders.map(isThere));
  return folders.filter((_, at) => there[at]);
}

async function removeService({ places, run }: Machine): Promise<boolean> {
  const state = await serviceState(run);
  if (state && state.load !== "not-found") {
    await must(run, "systemctl", "disable", "--now", "--quiet", SERVICE);
  } else if (state) {
    // Somebody has removed the unit: it may still run, and start with the machine.
    if (state.active !== "inactive") await must(run, "systemctl", "stop", SERVICE);
    await run("systemctl", "disable", "--quiet", SERVICE);
  }
  const wasThere = await removeAll(places.unit);
  if (state) {
    // What tasks have left in the background ends too, if there ever was a task.
    await run("systemctl", "stop", SLICE);
    await must(run, "systemctl", "daemon-reload");
    // It says so when there is nothing to reset.
    await run("systemctl", "reset-failed", SERVICE);
  }
  return wasThere;
}

async function tellRest({ places, run }: Machine, print: (text: string) => void): Promise<void> {
  const commands: string[] = [];
  const folders = [
    [places.configFolder, "configuration"],
    [places.stateFolder, "identity and state"],
  ] as const;
  for (const [folder, what] of folders) {
    if (!await isThere(folder)) continue;
    print(`Kept: ${folder} (${what})\n`);
    commands.push(`rm -r ${folder}`);
  }
  const account = await findAccount(run);
  if (account) {
    print(
      `Kept: user ${SERVICE_USER}${account.ours ? "" : ", which install did not create"}\n`,
    );
  }
  if (account?.ours) commands.push(`userdel --remove ${SERVICE_USER}`);
  if (commands.length > 0) print(`To remove that too: ${commands.join("; ")}\n`);
  print("The Noderax web app still lists the node: remove it there.\n");
}
