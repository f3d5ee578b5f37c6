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
