import type { TaskContext, TaskOutcome, TaskType } from "../tasks/task_type.ts";
import { runApt } from "./apt.ts";
import { auditDpkg } from "./dpkg_audit.ts";
import { changesBetween, readDpkg } from "./dpkg.ts";
import { type ChangeRequest, type Operation, parseRequest, refuseUnknown } from "./names.ts";
import { needsApt, queriesOf } from "./query.ts";
import type { Mutex } from "../system/mutex.ts";

/** How long a look at dpkg may take after the task was to end, in milliseconds. */
const LAST_LOOK_MS = 10_000;
/** How long apt may take to finish what dpkg has begun, in milliseconds. */
const LEAVE_MS = 30_000;

/**
 * `packageInstall`, `packageRemove`, `packagePurge` (contract: Types): changes packages by apt and
 * tells by dpkg's database what has changed, dependencies included. The task types that share
 * `mutex` never run at the same time. When the task is to end, apt has `leaveMs` to leave.
 */
export function packageChange(
  operation: Operation,
  mutex: Mutex,
  leaveMs = LEAVE_MS,
): TaskType {
  return {
    orphanMs: leaveMs,
    afterOrphan: (context) => afterAll(context, lookAfterOrphan),
    prepare(payload) {
      const request = parseRequest(operation, payload);
      return (context) =>
        mutex.take(
          () => change(request, context, leaveMs),
          context.signal,
          () => context.onLines("system", "[waiting for another package change of this agent]\n"),
        );
    },
  };
}

async function change(
  request: ChangeRequest,
  context: TaskContext,
  leaveMs: number,
): Promise<TaskOutcome> {
  const query = queriesOf(context);
  if (!await readDpkg(query)) throw needsApt();
  await refuseUnknown(request.names, query);
  const { exitCode, error, before = [] } = await runApt(request, context, leaveMs);
  return await afterAll(context, async (later) => {
    const after = await readDpkg(queriesOf(later)) ?? before;
    const changed = before.length > 0 ? changesBetween(before, after) : [];
    const result = { ...request, changed };
    if (error === undefined && !context.signal.aborted) {
      return { status: "success", exitCode, result };
    }
    const aftermath = await auditDpkg(after, queriesOf(later), later.onLines);
    return {
      status: "failed",
      exitCode,
      result,
      ...(error === undefined ? {} : { error }),
      ...(aftermath === undefined ? {} : { aftermath }),
    };
  });
}

/** What comes after a change is done although the task has been told to end, but not for ever. */
async function afterAll<T>(
  context: TaskContext,
  work: (context: TaskContext) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), LAST_LOOK_MS);
  try {
    return await work({ ...context, signal: limit.signal });
  } finally {
    clearTimeout(timer);
  }
}

async function lookAfterOrphan(context: TaskContext): Promise<string | undefined> {
  const query = queriesOf(context);
  return await auditDpkg(await readDpkg(query) ?? [], query, context.onLines);
}
