import { z } from "@zod/zod";

/** What root is asked for: upkeep of the machine, a task, a terminal (contract: Types). */
export const RootScope = z.enum(["operational", "task", "terminal"]);
/** See {@linkcode RootScope}. */
export type RootScope = z.infer<typeof RootScope>;

/** The profiles and what each allows (contract: Root access profiles). */
export const PROFILES = {
  off: [],
  operational: ["operational"],
  task: ["task"],
  terminal: ["terminal"],
  operational_task: ["operational", "task"],
  operational_terminal: ["operational", "terminal"],
  task_terminal: ["task", "terminal"],
  all: ["operational", "task", "terminal"],
} as const satisfies Record<string, readonly RootScope[]>;

/** The name of a profile. */
export const Profile = z.enum(Object.keys(PROFILES) as (keyof typeof PROFILES)[]);
/** See {@linkcode Profile}. */
export type Profile = z.infer<typeof Profile>;

const WHAT: Record<RootScope, string> = {
  operational: "package changes and upkeep as root",
  task: "tasks as root",
  terminal: "terminals as root",
};

/** Says in a sentence why `profile` does not allow `scope`; undefined if it does. */
export function refusalOf(profile: Profile, scope: RootScope): string | undefined {
  const allows = (each: Profile) => PROFILES[each].some((allowed) => allowed === scope);
  if (allows(profile)) return undefined;
  const needed = Profile.options.filter(allows).join(", ");
  return `the root access profile of this node is "${profile}", which does not allow ${WHAT[scope]}: ` +
    `it takes one of ${needed}`;
}
