import type { Logger } from "../system/logger.ts";
import { UserError } from "../system/user_error.ts";
import { type Accounts, lookUpAccounts } from "./accounts.ts";
import { asAgent, asUser, bySudo, type Launch } from "./launch.ts";
import type { RootScope } from "./root_scopes.ts";

/** How commands become another user's. */
export interface Launches {
  /** Runs what comes without root: as the user of `run_as_user`, else as the agent's own. */
  unprivileged: Launch;
  /** Runs what is to be root's: directly when the agent is root, else through `sudo -n`. */
  root: Launch;
  /** Whether root is reached through sudo, which may refuse. */
  sudo: boolean;
}

/** Who runs what, and who may be root. */
export interface Privileges extends Launches {
  /**
   * Says in a sentence why root is refused for this; undefined if it is not. It may wait for the
   * control plane's word; what aborts the wait is a refusal.
   */
  allows: (scope: RootScope, signal: AbortSignal) => Promise<string | undefined>;
}

/**
 * Finds out who the agent is and whom it runs commands for.
 *
 * @throws {UserError} when `runAsUser` is no user of this machine, or the agent is root and the
 * machine has nothing to become that user with.
 */
export async function readLaunches(
  runAsUser: string | undefined,
  logger: Logger,
  lookUp: (name?: string) => Promise<Accounts> = lookUpAccounts,
): Promise<Launches> {
  const { uid, account, switcher } = await lookUp(runAsUser);
  const sudo = uid !== 0;
  const root = sudo ? bySudo : asAgent;
  if (runAsUser === undefined) {
    const instead = "set run_as_user to run them as another user";
    // No profile of root access changes that: it is about what asks for root.
    if (!sudo) logger.info("all tasks and terminals run as root", { instead });
    return { unprivileged: asAgent, root, sudo };
  }
  if (!account) {
    throw new UserError(
      `run_as_user is "${runAsUser}", but this machine has no such user: create it ` +
        `(useradd --system --create-home ${runAsUser}) or change the setting.`,
    );
  }
  if (account.uid === uid) return { unprivileged: asAgent, root, sudo };
  if (sudo) {
    logger.warn("run_as_user has no effect: only root can run commands as another user", {
      runAsUser,
      instead: "tasks and terminals run as the agent's own user",
    });
    return { unprivileged: asAgent, root, sudo };
  }
  if (!switcher) {
    throw new UserError(
      `run_as_user is "${runAsUser}", but this machine has neither setpriv nor runuser to run ` +
        "commands as another user: install util-linux, or remove the setting.",
    );
  }
  return { unprivileged: asUser(account, switcher), root, sudo };
}
