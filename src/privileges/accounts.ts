import { ChildLateError, runChild, type RunChildOptions } from "../system/run_child.ts";
import { UserError } from "../system/user_error.ts";

/** An account of this machine, as its user database has it. */
export interface Account {
  /** Its login name. */
  name: string;
  /** Its user id. */
  uid: number;
  /** The id of its primary group. */
  gid: number;
  /** Its home folder. */
  home: string;
  /** Its login shell. */
  shell: string;
}

/** What must be known before anything can be run for somebody. */
export interface Accounts {
  /** The agent's own user id. */
  uid: number;
  /** The account that was asked for, if there is one of that name. */
  account: Account | undefined;
  /** The program that changes users and groups: `setpriv`, else `runuser`; undefined without both. */
  switcher: string | undefined;
}

/** busybox has a `setpriv` that cannot change users. */
const LOOK = `
command -v setpriv >/dev/null && setpriv --help 2>&1 | grep -q -e --init-groups && command -v setpriv ||
  PATH=$PATH:/usr/sbin:/sbin command -v runuser || echo
getent passwd -- "$1" 2>/dev/null
exit 0`;

/** A directory service may be slow to answer for the first time, in milliseconds. */
const LOOK_LIMIT_MS = 30_000;

/**
 * Looks who the agent is, and for the account `name`, if there is one to look for.
 *
 * @throws {UserError} when the machine does not answer in 30 s.
 */
export async function lookUpAccounts(
  name = "",
  { limitMs = LOOK_LIMIT_MS, ...options }: Pick<RunChildOptions, "env" | "signal" | "limitMs"> = {},
): Promise<Accounts> {
  const uid = Deno.uid() ?? NaN;
  if (name === "") return { uid, account: undefined, switcher: undefined };
  let stdout;
  try {
    ({ stdout } = await runChild(["/bin/sh", "-c", LOOK, "sh", name], { ...options, limitMs }));
  } catch (cause) {
    if (!(cause instanceof ChildLateError)) throw cause;
    const message = "The user database of this machine does not answer: " +
      `\`getent passwd ${name}\` shows how long it takes, /etc/nsswitch.conf whom it asks.`;
    throw new UserError(message, { cause });
  }
  const [switcher = "", passwd = ""] = stdout.split("\n");
  // Without a `getent` there is no other database.
  const found = parsePasswd(passwd || await lineOf(name));
  const account = found && [found.name, String(found.uid)].includes(name) ? found : undefined;
  return { uid, switcher: switcher || undefined, account };
}

async function lineOf(name: string): Promise<string> {
  const text = await Deno.readTextFile("/etc/passwd").catch(() => "");
  return text.split("\n").find((line) => line.startsWith(`${name}:`)) ?? "";
}

/** A line of the user database: `name:password:uid:gid:comment:home:shell`. */
function parsePasswd(line: string): Account | undefined {
  const [name = "", _password, uid, gid, _comment, home, shell] = line.split(":");
  if (!/^\d+$/.test(uid ?? "") || !/^\d+$/.test(gid ?? "")) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), home: home || "/", shell: shell || "/bin/sh" };
}
