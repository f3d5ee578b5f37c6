import { SERVICE_USER } from "../system/paths.ts";
import { type Machine, must } from "./machine.ts";
import type { Step } from "./steps.ts";

/** The comment of an account that install has made: uninstall may remove that one. */
const COMMENT = "Noderax agent tasks";
const HOME = `/home/${SERVICE_USER}`;
/** By their paths: after a plain `su` they are not found otherwise. */
const USERADD = "/usr/sbin/useradd";
const USERDEL = "/usr/sbin/userdel";
const CLOSED_HOME =
  "its home is the agent's state folder, which is closed to it: give it another " +
  `with \`install -d -o ${SERVICE_USER} ${HOME} && usermod --home ${HOME} ${SERVICE_USER}\``;

/** The user that tasks run as. One that is there already stays as it is. */
export function account({ places, run }: Machine): Step {
  return {
    name: "User for tasks",
    ends: "service_user_ready",
    async run(undos) {
      const found = await findAccount(run);
      if (found) {
        // The 1.x agent was that user, and lived there.
        const closed = found.home === places.stateFolder;
        return { told: closed ? `${SERVICE_USER} (${CLOSED_HOME})` : SERVICE_USER, changed: false };
      }
      const hasGroup = (await run("getent", "group", SERVICE_USER)).code === 0;
      const group = hasGroup ? ["--gid", SERVICE_USER] : ["--user-group"];
      const hasBash = (await run("test", "-x", "/bin/bash")).code === 0;
      const shell = hasBash ? "/bin/bash" : "/bin/sh";
      undos.add(`user ${SERVICE_USER}`, () => removeAccount(run));
      await must(
        run,
        USERADD,
        ...["--system", "--create-home", "--home-dir", HOME, "--shell", shell],
        ...["--comment", COMMENT, ...group, SERVICE_USER],
      );
      return { told: `${SERVICE_USER} created`, changed: true };
    },
  };
}

/** The user that tasks run as, as the machine has it. */
export interface FoundAccount {
  /** Whether install has made it. */
  ours: boolean;
  /** Its home folder. */
  home: string;
}

/** Looks for the user that tasks run as; undefined where there is none. */
export async function findAccount(run: Machine["run"]): Promise<FoundAccount | undefined> {
  const { code, stdout } = await run("getent", "passwd", SERVICE_USER);
  const [, , , , comment, home = ""] = stdout.split(":");
  return code === 0 ? { ours: comment === COMMENT, home } : undefined;
}

/** Removes the user and its home, if install has made it; gives whether it did. */
export async function removeAccount(run: Machine["run"]): Promise<boolean> {
  if (!(await findAccount(run))?.ours) return false;
  await must(run, USERDEL, "--remove", SERVICE_USER);
  return true;
}
