import type { TaskContext } from "../tasks/task_type.ts";
import type { ChangeRequest, Operation } from "./change_request.ts";
import type { Change } from "./changes.ts";
import type { Locks } from "./lock_patience.ts";
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
  /** Changes packages as root; when the task is to end, it has `leaveMs` to leave. */
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
