import type { TaskContext } from "../tasks/task_type.ts";
import type { Locks } from "./lock_patience.ts";
import type { Query } from "./query.ts";
import type { Leaving } from "./run_manager.ts";
import * as z from "@zod/zod";

/** A package as the control plane shows it (contract: Types). */
export interface Package {
  /** Its name without an architecture. */
  name: string;
  /** Its version. */
  version: string;
  /** Its architecture in the machine's terms: `amd64`, `all`, `x86_64`, `noarch`. */
  architecture: string;
  /** The first line of its description; may be empty. */
  description: string;
}

/** A search may hit half of the archive; the page waits 10 s and nobody reads on (contract: Types). */
export const MAX_RESULTS = 200;

/** What a search has found. */
export interface Found {
  /** How many packages. */
  found: number;
  /** Whether there are so many names with all the words that no description was looked at. */
  byName: boolean;
  /** The first of them, {@linkcode MAX_RESULTS} at most. */
  results: Package[];
}

/** The order of what a search has found: called by one of the words, all of them in the name, the rest. */
export function rankOf({ name }: { name: string }, words: readonly string[]): 0 | 1 | 2 {
  const low = name.toLowerCase();
  const wanted = words.map((word) => word.toLowerCase());
  if (wanted.includes(low)) return 0;
  return wanted.every((word) => low.includes(word)) ? 1 : 2;
}

/** How a change ended. */
export interface ChangeEnd {
  /** The exit code of what changed packages. */
  exitCode: number;
  /** Why it failed; undefined if it did not. */
  error: string | undefined;
  /** What has changed, dependencies included. */
  changed(query: Query): Promise<Change[]>;
  /** What it has left broken although it may have succeeded, with the command that repairs it. */
  broken?(query: Query): Promise<string | undefined>;
}

/** What manages the packages of a family of distributions. */
export interface PackageManager {
  /** The program that changes packages. */
  name: string;
  /** How long a change may take to leave, once its task is to end and nothing would be cut short. */
  leaveMs: number;
  /** What to do about a search that takes too long. */
  hurry: string;
  /** What is installed. */
  list(query: Query): Promise<Package[]>;
  /** The packages that can be installed whose name or summary has all the words. */
  search(words: string[], query: Query): Promise<Found>;
  /** Reads the payload of a change; zod throws for a name that the family does not know. */
  parse(operation: Operation, payload: unknown): ChangeRequest;
  /** How a change leaves that has `leaveMs` for it. */
  leaving(context: TaskContext, leaveMs: number): Promise<Leaving>;
  /** Changes packages as root, or goes on with a program that was taken up; when the task is to end, it has `leaveMs` to leave. */
  change(request: ChangeRequest, context: TaskContext, leaveMs: number): Promise<ChangeEnd>;
  /** The locks of whoever changes packages. */
  locks(query: Query): Promise<Locks>;
  /** Names what is broken with the command that repairs it, and shows it in the log. */
  audit(
    query: Query,
    onLines: TaskContext["onLines"],
    changed?: readonly Change[],
  ): Promise<string | undefined>;
}

/** What is done to packages. */
export type Operation = "install" | "remove" | "purge";

/** What a package task asks for. */
export interface ChangeRequest {
  /** What to do; `purge: true` in a remove task makes it a purge. */
  operation: Operation;
  /** To which packages, each once, in the order of the payload; at least one. */
  names: string[];
}

interface Payload {
  names: string[];
  purge: boolean | null | undefined;
}

const NONE = "must name a package";

/** The payload of a change whose names are of this kind; they may arrive three times (contract: Types). */
export function ChangePayload(name: z.ZodType<string>): z.ZodType<Payload> {
  return z.looseObject({
    names: z.array(name).nullish(),
    packages: z.array(name).nullish(),
    package: z.union([z.literal(""), name]).nullish(),
    purge: z.boolean().nullish(),
  }).transform(({ names, packages, package: one, purge }, context) => {
    const all = new Set([...names ?? [], ...packages ?? [], ...(one ? [one] : [])]);
    if (all.size === 0) context.addIssue({ code: "custom", path: ["names"], message: NONE });
    return { names: [...all], purge };
  });
}

/** What a task of this operation asks for by its payload. */
export function requestOf(operation: Operation, { names, purge }: Payload): ChangeRequest {
  return { operation: operation === "remove" && purge ? "purge" : operation, names };
}

/** What became of one package; `from` or `to` is left out where it was or is not there. */
export interface Change {
  /** The package's name without an architecture. */
  name: string;
  /** The version before. */
  from?: string;
  /** The version after. */
  to?: string;
}

/** A package that is there; of rpm's there may be several versions at a time. */
interface Present {
  /** Its name with its architecture. */
  id: string;
  name: string;
  version: string;
}

/** What differs between two looks at what is installed, by name and architecture. */
export function changesBetween(before: readonly Present[], after: readonly Present[]): Change[] {
  const gone = without(before, after);
  const come = without(after, before);
  return [...new Set([...gone.keys(), ...come.keys()])].sort().flatMap((id) => {
    const [from, to] = [gone.get(id) ?? [], come.get(id) ?? []];
    return Array.from({ length: Math.max(from.length, to.length) }, (_, index) => ({
      name: (to[index] ?? from[index])?.name ?? "",
      ...(from[index] ? { from: from[index].version } : {}),
      ...(to[index] ? { to: to[index].version } : {}),
    }));
  });
}

/** Those that the others do not have, by id. */
function without(
  packages: readonly Present[],
  others: readonly Present[],
): Map<string, Present[]> {
  const known = new Set(others.map(({ id, version }) => `${id} ${version}`));
  return Map.groupBy(
    packages.filter(({ id, version }) => !known.has(`${id} ${version}`)),
    ({ id }) => id,
  );
}
