import { SERVICE_USER } from "../system/paths.ts";
import { isThere, type Machine, must, removeAll } from "./machine.ts";
import type { Outcome, Step, Undos } from "./steps.ts";

/** The comment of an account that install has made: uninstall may remove that one. */
const COMMENT = "Noderax agent tasks";
/** By their paths: after a plain `su` they are not found otherwise. */
const USERADD = "/usr/sbin/useradd";
const USERDEL = "/usr/sbin/userdel";
const USERMOD = "/usr/sbin/usermod";
const closedHome = (home: string) =>
  "its home is the agent's state folder, which is closed to it: give it another " +
  `with \`install -d -o ${SERVICE_USER} ${home} && usermod --home ${home} ${SERVICE_USER}\``;

/** The user that tasks run as. One that is there already stays as it is. */
export function account({ places, run }: Machine): Step {
  return {
    name: "User for tasks",
    ends: "service_user_ready",
    async run(undos) {
      const found = await findAccount(run);
      const shell = (await run("test", "-x", "/bin/bash")).code === 0 ? "/bin/bash" : "/bin/sh";
      // The 1.x agent was that user, and lived there.
      if (found?.home === places.stateFolder) {
        return await adopt({ places, run }, found, shell, undos);
      }
      if (found) return { told: SERVICE_USER, changed: false };
      const hasGroup = (await run("getent", "group", SERVICE_USER)).code === 0;
      const group = hasGroup ? ["--gid", SERVICE_USER] : ["--user-group"];
      undos.add(`user ${SERVICE_USER}`, () => removeAccount(run));
      await must(
        run,
        USERADD,
        ...["--system", "--create-home", "--home-dir", places.home, "--shell", shell],
        ...["--comment", COMMENT, ...group, SERVICE_USER],
      );
      return { told: `${SERVICE_USER} created`, changed: true };
    },
  };
}

/** Makes the user of the agent in Go one for tasks, as install makes it; its files stay its own. */
async function adopt(
  { places, run }: Machine,
  { home, shell, comment }: FoundAccount,
  newShell: string,
  undos: Undos,
): Promise<Outcome> {
  const change = (to: string, shell: string, comment: string) =>
    run(USERMOD, "--home", to, "--shell", shell, "--comment", comment, SERVICE_USER);
  const { code } = await change(places.home, newShell, COMMENT);
  // It is busy where it runs more than the agent: what install needs of it, it is already.
  if (code !== 0) return { told: `${SERVICE_USER} (${closedHome(places.home)})`, changed: false };
  undos.add(`user ${SERVICE_USER}`, () => change(home, shell, comment));
  if (!await isThere(places.home)) {
    undos.add(`folder ${places.home}`, () => removeAll(places.home));
  }
  const owner = ["-o", SERVICE_USER, "-g", SERVICE_USER];
  await must(run, "install", "-d", "-m", "0700", ...owner, places.home);
  return {
    told: `${SERVICE_USER}, now with the home ${places.home} and ${newShell}`,
    changed: true,
  };
}

/** The user that tasks run as, as the machine has it. */
export interface FoundAccount {
  /** Whether install has made it. */
  ours: boolean;
  /** What it is for. */
  comment: string;
  /** Its home folder. */
  home: string;
  /** What it logs in to. */
  shell: string;
}

/** Looks for the user that tasks run as; undefined where there is none. */
export async function findAccount(run: Machine["run"]): Promise<FoundAccount | undefined> {
  const { code, stdout } = await run("getent", "passwd", SERVICE_USER);
  const [, , , , comment = "", home = "", shell = ""] = stdout.trimEnd().split(":");
  return code === 0 ? { ours: comment === COMMENT, comment, home, shell } : undefined;
}

/** Removes the user and its home, if install has made it; gives whether it did. */
export async function removeAccount(run: Machine["run"]): Promise<boolean> {
  if (!(await findAccount(run))?.ours) return false;
  await must(run, USERDEL, "--remove", SERVICE_USER);
  return true;
}
