import { SERVICE_USER } from "../system/paths.ts";
import { type Machine, must } from "./machine.ts";
import type { Step } from "./steps.ts";

/** The comment of an account that install has made: uninstall may remove that one. */
const COMMENT = "Noderax agent tasks";
const HOME = `/home/${SERVICE_USER}`;

/** The user that tasks run as. One that is there already stays as it is. */
export function account({ run }: Pick<Machine, "run">): Step {
  return {
    name: "User for tasks",
    ends: "service_user_ready",
    async run(undos) {
      if (await findAccount(run)) {
        return { told: SERVICE_USER, changed: false };
      }
      const hasGroup = (await run("getent", "group", SERVICE_USER)).code === 0;
      const group = hasGroup ? ["--gid", SERVICE_USER] : ["--user-group"];
      const hasBash = (await run("test", "-x", "/bin/bash")).code === 0;
      const shell = hasBash ? "/bin/bash" : "/bin/sh";
      undos.add(`user ${SERVICE_USER}`, () => removeAccount(run));
      await must(
        run,
        "useradd",
        ...["--system", "--create-home", "--home-dir", HOME, "--shell", shell],
        ...["--comment", COMMENT, ...group, SERVICE_USER],
      );
      return { told: `${SERVICE_USER} made`, changed: true };
    },
  };
}

/** Whether there is the user, and install has made it. */
export async function findAccount(run: Machine["run"]): Promise<"ours" | "foreign" | undefined> {
  const { code, stdout } = await run("getent", "passwd", SERVICE_USER);
  if (code !== 0) return undefined;
  return stdout.split(":")[4] === COMMENT ? "ours" : "foreign";
}

/** Removes the user and its home, if install has made it; gives whether it did. */
export async function removeAccount(run: Machine["run"]): Promise<boolean> {
  if (await findAccount(run) !== "ours") return false;
  await must(run, "userdel", "--remove", SERVICE_USER);
  return true;
}
