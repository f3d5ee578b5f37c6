import type { TaskContext, TaskOutcome } from "../tasks/task_type.ts";
import type { ChangeRequest, Operation } from "./change_request.ts";
import type { Query } from "./query.ts";

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

/** What manages the packages of a family of distributions. */
export interface PackageManager {
  /** How long a change may take to finish what it has begun, once its task is to end. */
  leaveMs: number;
  /** What is installed. */
  list(query: Query): Promise<Package[]>;
  /** The packages that can be installed whose name or summary has all the words. */
  search(words: string[], query: Query): Promise<Found>;
  /** Reads the payload of a change; zod throws for a name that the family does not know. */
  parse(operation: Operation, payload: unknown): ChangeRequest;
  /** Changes packages as root; when the task is to end, it has `leaveMs` to leave. */
  change(request: ChangeRequest, context: TaskContext, leaveMs: number): Promise<TaskOutcome>;
  /** Names what is broken, with the command that repairs it. */
  audit(context: TaskContext): Promise<string | undefined>;
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

/** What differs between two looks at what is installed, by what names a package among its kin. */
export function changesOf<P extends { id: string; name: string; version: string }>(
  before: P[],
  after: P[],
): Change[] {
  const from = new Map(before.map((each) => [each.id, each]));
  const to = new Map(after.map((each) => [each.id, each]));
  return [...new Set([...from.keys(), ...to.keys()])].sort().flatMap((id) => {
    const [old, now] = [from.get(id), to.get(id)];
    const name = (now ?? old)?.name;
    if (name === undefined || old?.version === now?.version) return [];
    return [{
      name,
      ...(old ? { from: old.version } : {}),
      ...(now ? { to: now.version } : {}),
    }];
  });
}
