import { TASK_ID_VARIABLE } from "../hosts/process_table.ts";
import type { InUnit } from "../hosts/host.ts";
import { exportsOf } from "../hosts/shell_text.ts";
import type { Account } from "./accounts.ts";

/** A program to run, as whoever it is to be, in the home of another user or the agent's own folder. */
export interface Command {
  /** The program and its arguments. */
  argv: string[];
  /** Additional environment. */
  env?: Record<string, string>;
  /**
   * The terminal that it is going to open. Arguments that are added to such a command name the
   * program that it is to put there in place of the user's shell.
   */
  terminal?: string;
}

/** What the agent itself has to start. */
export interface Start extends Pick<Command, "argv" | "env"> {
  /** The command alone, for a host that makes it its user's by itself; sudo can do that only here. */
  inUnit?: InUnit;
}
/** Turns a command into what the agent itself has to start, as the leader of a session. */
export type Launch = (command: Command) => Start;

/** Runs a command as the agent's own user, with the agent's environment. */
export function asAgent({ argv, env = {} }: Command): Start {
  return { argv, env, inUnit: { argv, env, user: { name: "root", uid: 0 } } };
}

/**
 * Another user's code must not share a session with root: it could type into root's terminal. So
 * whoever starts this has to start it as the leader of a session, or nothing of that user's is run.
 * In /proc/N/stat come id, name in brackets, state, parent, group and session.
 */
const OWN_SESSION = `
  read -r stat </proc/$$/stat
  stat=\${stat##*) }
  stat=\${stat#? }
  case \${stat#* } in
    "$$ $$ "*) ;;
    *) echo "another user's command was not started in a session of its own" >&2; exit 125 ;;
  esac
`;

/**
 * What is run with the agent's rights. The command's environment comes as text in the `variables`
 * and leaves through standard input: variables such as LD_PRELOAD must not mean anything yet, and
 * values may be secret while arguments can be seen by everybody.
 */
const before = (variables: string[]) => `
terminal=$1 owner=$2
shift 2
[ -z "$owner" ] || {${OWN_SESSION}}
if [ -n "$terminal" ]; then
  chown "$owner" "$terminal" || exit
  # The leader of the session takes control of it, in case what follows is no leader any more.
  : <"$terminal"
elif [ -n "$owner" ]; then
  # Whoever opens /dev/stdout opens the pipe anew, and only its owner may. In a shell of its own:
  # to silence chown here would put /dev/null in the place of the pipe, and give that away.
  for output in /proc/$$/fd/1 /proc/$$/fd/2; do
    [ ! -p "$output" ] || said=$(chown "$owner" "$output" 2>&1)
  done
fi
exec env -i \${LANG:+"LANG=$LANG"} \${TZ:+"TZ=$TZ"} PATH="$PATH" "$@" <<END
${variables.map((name) => `$${name}`).join("")}
command export ${TASK_ID_VARIABLE}='$${TASK_ID_VARIABLE}'
END`;

/** What is run with the command's own rights. */
const AFTER = `
[ -z "$1" ] || cd 2>/dev/null || cd /
shift
unset OLDPWD
eval "$(cat)"
exec "$@" </dev/null`;

/** The search path of a login, before the profile of the machine has its say. */
const LOGIN_PATH = "/usr/local/bin:/usr/bin:/bin";

/**
 * Runs commands as another user: its groups, supplementary ones too, its home, and nothing of the
 * agent's environment but language and time zone. `switcher` is the path of setpriv or runuser.
 */
export function asUser(account: Account, switcher: string): Launch {
  const { name, uid, gid, home, shell } = account;
  const variables = { HOME: home, USER: name, LOGNAME: name, SHELL: shell, PATH: LOGIN_PATH };
  const change = switcher.endsWith("/runuser")
    ? [switcher, "-u", name, "--"]
    : [switcher, `--reuid=${uid}`, `--regid=${gid}`, "--init-groups", "--"];
  const environment = Object.entries(variables).map(([key, value]) => `${key}=${value}`);
  return (command) => ({
    ...through([...environment, ...change], command, String(uid)),
    inUnit: { argv: command.argv, env: command.env ?? {}, user: { name, uid } },
  });
}

/**
 * Runs commands as root for an agent that is not: sudo must allow it without a password. What brings
 * no environment needs no shell: sudoers may allow such commands one by one. A
 * terminal is given to sudo itself, which makes one of root's of it.
 */
export function bySudo({ argv, env = {}, terminal }: Command): Start {
  if (terminal !== undefined) return { argv: [...argv, "sudo", "-n", "-i"], env };
  const sudo = ["sudo", "-n", "-H", "--"];
  if (Object.keys(env).length > 0) return through(sudo, { argv, env });
  return { argv: [...sudo, ...argv] };
}

/** `owner` is the other user's id, empty for root: that user's commands begin at home. */
function through(prefix: string[], { argv, env = {}, terminal = "" }: Command, owner = ""): Start {
  const after = ["/bin/sh", "-c", AFTER, "sh", owner, ...argv];
  // No variable may be longer than 128 KiB; this many characters have fewer than that.
  const parts = exportsOf(env).match(/[^]{1,30000}/gu) ?? [];
  const variables = parts.map((part, index) => [`AGENT_ENVIRONMENT_${index}`, part] as const);
  const script = before(variables.map(([name]) => name));
  return {
    argv: ["/bin/sh", "-c", script, "sh", terminal, owner, ...prefix, ...after],
    env: Object.fromEntries(variables),
  };
}
