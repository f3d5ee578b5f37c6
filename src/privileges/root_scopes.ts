import * as z from "@zod/zod";

/** What root is asked for: upkeep of the machine, a task, a terminal (contract: Types). */
export const RootScope = z.enum(["operational", "task", "terminal"]);
/** See {@linkcode RootScope}. */
export type RootScope = z.infer<typeof RootScope>;

/**
 * Whether a payload that asks for root says for what: no scope is taken for granted
 * (contract: Tasks over HTTP).
 */
export function hasScopeAsRoot(
  request: { runAsRoot: boolean; rootScope?: RootScope | null | undefined },
): boolean {
  return !request.runAsRoot || Boolean(request.rootScope);
}

/** What is wrong where {@linkcode hasScopeAsRoot} does not hold. */
export const NO_SCOPE = {
  path: ["rootScope"],
  error: `is missing: runAsRoot needs one of ${RootScope.options.join(", ")}`,
};

/** The name of a root access profile (contract: Root access profiles). */
export const Profile = z.enum([
  "off",
  "operational",
  "task",
  "terminal",
  "operational_task",
  "operational_terminal",
  "task_terminal",
  "all",
]);
/** See {@linkcode Profile}. */
export type Profile = z.infer<typeof Profile>;

const ALLOWED: Record<Profile, readonly RootScope[]> = {
  off: [],
  operational: ["operational"],
  task: ["task"],
  terminal: ["terminal"],
  operational_task: ["operational", "task"],
  operational_terminal: ["operational", "terminal"],
  task_terminal: ["task", "terminal"],
  all: ["operational", "task", "terminal"],
};

const WHAT: Record<RootScope, string> = {
  operational: "package changes and upkeep as root",
  task: "tasks as root",
  terminal: "terminals as root",
};

/** Says in a sentence why `profile` does not allow `scope`; undefined if it does. */
export function refusalOf(profile: Profile, scope: RootScope): string | undefined {
  const allows = (each: Profile) => ALLOWED[each].includes(scope);
  if (allows(profile)) return undefined;
  const needed = Profile.options.filter(allows).join(", ");
  const refused = `which does not allow ${WHAT[scope]}: it takes one of ${needed}`;
  return `the root access profile of this node is "${profile}", ${refused}`;
}

const SERVICE = "noderax-agent";

/**
 * The commands that `rootScope: operational` allows, and what is run for each. The restart is only
 * asked for: a task that waited for it would be ended by it.
 */
const COMMANDS: ReadonlyMap<string, string[]> = new Map([
  ["apt-get update", ["apt-get", "update"]],
  ["dnf makecache", ["dnf", "makecache"]],
  [`systemctl restart ${SERVICE}`, ["systemctl", "--no-block", "restart", SERVICE]],
  [`systemctl restart ${SERVICE}.service`, ["systemctl", "--no-block", "restart", SERVICE]],
  ["systemctl reboot", ["systemctl", "reboot"]],
  ["reboot", ["reboot"]],
  ["shutdown -r now", ["shutdown", "-r", "now"]],
]);

/** Why others are refused, in a sentence. */
export const NOT_OPERATIONAL = `rootScope "operational" allows exactly these commands: ${
  [...COMMANDS.keys()].join(", ")
}`;

/**
 * What to run, without a shell, for a command of `rootScope: operational`; undefined if it is none.
 * Words may be set apart by more than one space, and that is all: nothing is quoted or expanded.
 */
export function operationalArgv(command: string): string[] | undefined {
  return COMMANDS.get(command.trim().replaceAll(/ +/g, " "));
}
