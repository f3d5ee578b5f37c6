import * as z from "@zod/zod";
import { isTimeout } from "../system/deadline.ts";
import type { Mutex } from "../system/mutex.ts";
import { TimeLimit } from "../system/stall.ts";
import { UserError } from "../system/user_error.ts";
import type { TaskContext, TaskOutcome, TaskType } from "../tasks/task_type.ts";
import { afterAll, AUDIT_MS, queriesOf, type Query } from "./query.ts";
import type {
  Change,
  ChangeEnd,
  ChangeRequest,
  Found,
  Operation,
  PackageManager,
} from "./package_manager.ts";
import { asksFirst } from "./run_manager.ts";
import { findManager } from "./find_manager.ts";

/** How long a search may take, in milliseconds; package managers have no limit of their own. */
const LIMIT_MS = 30_000;

const PackageList = z.looseObject({}).nullish();

const Term = z.string().refine((text) => !text.includes("\0"), "must not contain NUL").nullish();
const PackageSearch = z.looseObject({ query: Term, term: Term })
  .transform(({ query, term }) => (query?.trim() || term?.trim() || "").split(/\s+/))
  .superRefine((words, context) => {
    if (words[0] === "") context.addIssue({ code: "custom", path: ["query"], message: EMPTY });
    const option = words.find((word) => word.startsWith("-"));
    if (option === undefined) return;
    const message = `a word must not start with "-", as ${JSON.stringify(option)} does`;
    context.addIssue({ code: "custom", path: ["query"], message });
  });
const EMPTY = "must hold at least one word to search for";

/** `packageList`: what is installed (contract: Types). */
export const packageList: TaskType = {
  // It only looks, which it may do while the control plane has still to say yes.
  isGated: true,
  mayBeginAnew: true,
  prepare(payload) {
    PackageList.parse(payload);
    return async (context): Promise<TaskOutcome> => {
      const packages = await (await findManager()).list(queriesOf(context));
      await context.begun;
      await context.onLines("stdout", `${packages.length} packages are installed\n`);
      return { status: "success", exitCode: 0, result: { packages } };
    };
  },
};

/** `packageSearch`: packages whose name or description holds every word (contract: Types). */
export const packageSearch: TaskType = packageSearchWithin(LIMIT_MS);

/** {@linkcode packageSearch} with a limit of its own. */
export function packageSearchWithin(limitMs: number): TaskType {
  return {
    mayBeginAnew: true,
    prepare(payload) {
      const words = PackageSearch.parse(payload);
      return async (context): Promise<TaskOutcome> => {
        const manager = await findManager();
        const tooLong = `the search takes more than ${limitMs / 1_000} s: ${manager.hurry}`;
        using limit = new TimeLimit(limitMs);
        const signal = AbortSignal.any([context.signal, limit.signal]);
        try {
          const found = await manager.search(words, queriesOf({ ...context, signal }));
          await context.onLines("stdout", `${summary(found)}\n`);
          return { status: "success", exitCode: 0, result: { results: found.results } };
        } catch (error) {
          throw isTimeout(error) ? new UserError(tooLong) : error;
        }
      };
    },
  };
}

function summary({ found, byName, results }: Found): string {
  const cut = found > results.length ? `, the first ${results.length} are listed` : "";
  return `${found} packages match${byName ? " by their name" : ""}${cut}`;
}

/**
 * How long a change that has outlived its agent may go on, in milliseconds: nobody has asked it to
 * stop, and one that is cut short leaves packages half done. The control plane waits 1 800 s.
 */
const ORPHAN_MS = 600_000;

/**
 * `packageInstall`, `packageRemove`, `packagePurge` (contract: Types): changes packages and tells by
 * the package database what has changed, dependencies included. The task types that share `mutex`
 * never run at the same time. When the task is to end, the package manager has `leaveMs` to leave,
 * or its own time.
 */
export function packageChange(operation: Operation, mutex: Mutex, leaveMs?: number): TaskType {
  return {
    mayBeginAnew: true,
    mayBeTakenUp: true,
    keepOthersBack: () => mutex.hold(),
    askFirst: async (context) => {
      const manager = await findManager();
      return asksFirst(await manager.leaving(context, leaveMs ?? manager.leaveMs), context);
    },
    orphanMs: leaveMs ?? ORPHAN_MS,
    afterOrphan: async (context) => await audit(await findManager(), context),
    prepare: (payload) => async (context) => {
      const manager = await findManager();
      const request = manager.parse(operation, payload);
      const work = () => change(manager, request, context, leaveMs ?? manager.leaveMs);
      // It has had its turn under an earlier agent; the others wait for it.
      if (context.takenUp) return await work();
      return await mutex.take(
        work,
        context.signal,
        () => context.onLines("system", "[waiting for another package change of this agent]\n"),
      );
    },
  };
}

async function change(
  manager: PackageManager,
  request: ChangeRequest,
  context: TaskContext,
  leaveMs: number,
): Promise<TaskOutcome> {
  return await outcomeOfChange(
    manager,
    request,
    await manager.change(request, context, leaveMs),
    context,
  );
}

/** What a change has come to; what cannot be looked at any more is left out. */
export async function outcomeOfChange(
  manager: PackageManager,
  request: ChangeRequest,
  end: ChangeEnd,
  context: TaskContext,
): Promise<TaskOutcome> {
  const { exitCode, error } = end;
  const changed = await afterAll(context, "what has changed", (query) => end.changed(query));
  const result = { ...request, ...(changed ? { changed } : {}) };
  const broken = await afterAll(
    context,
    "what is broken",
    async (query) => await end.broken?.(query),
  );
  if (error === undefined && broken === undefined && !context.signal.aborted) {
    return { status: "success", exitCode, result };
  }
  const found = await audit(manager, context, changed);
  const aftermath = [broken, found].filter((sentence) => sentence !== undefined).join("; ");
  return {
    status: "failed",
    exitCode,
    result,
    ...(error === undefined ? {} : { error }),
    ...(aftermath === "" ? {} : { aftermath }),
  };
}

/** Names what is broken, whoever has left it so. */
async function audit(
  manager: PackageManager,
  context: TaskContext,
  changed?: readonly Change[],
): Promise<string | undefined> {
  const look = (query: Query) => manager.audit(query, context.onLines, changed);
  return await afterAll(context, "all that may be broken", look, AUDIT_MS);
}
