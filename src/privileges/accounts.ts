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

/** Deno's own way would need more permissions; busybox has a `setpriv` that cannot change users. */
const LOOK = `
id -u
command -v setpriv >/dev/null && setpriv --help 2>&1 | grep -q -e --init-groups && command -v setpriv ||
  PATH=$PATH:/usr/sbin:/sbin command -v runuser || echo
[ -z "$1" ] || getent passwd -- "$1" 2>/dev/null || grep -e "^$1:" /etc/passwd
exit 0`;

/**
 * Looks who the agent is, and for the account `name`.
 *
 * @throws {UserError} when the machine does not say who the agent is.
 */
export async function lookUpAccounts(name = ""): Promise<Accounts> {
  const { stdout } = await new Deno.Command("/bin/sh", {
    args: ["-c", LOOK, "sh", name],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  const [uid = "", switcher = "", passwd = ""] = new TextDecoder().decode(stdout).split("\n");
  if (!/^\d+$/.test(uid)) throw new UserError("`id -u` does not say which user this is.");
  const found = parsePasswd(passwd);
  const account = found && [found.name, String(found.uid)].includes(name) ? found : undefined;
  return { uid: Number(uid), switcher: switcher || undefined, account };
}

/** A line of the user database: `name:password:uid:gid:comment:home:shell`. */
function parsePasswd(line: string): Account | undefined {
  const [name = "", _password, uid, gid, _comment, home, shell] = line.split(":");
  if (!/^\d+$/.test(uid ?? "") || !/^\d+$/.test(gid ?? "")) return undefined;
  return { name, uid: Number(uid), gid: Number(gid), home: home || "/", shell: shell || "/bin/sh" };
}
