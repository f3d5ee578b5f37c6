import type { TaskContext, TaskOutcome, TaskType } from "../task_type.ts";
import { runApt } from "./apt.ts";
import { brokenPackages, changesBetween, readDpkg } from "./dpkg.ts";
import { type ChangeRequest, type Operation, parseRequest, refuseUnknown } from "./names.ts";
import { needsApt, queriesOf } from "./query.ts";
import type { Turns } from "./turns.ts";

/** How long a look at dpkg may take after the task was to end, in milliseconds. */
const LAST_LOOK_MS = 10_000;
/** How long apt may take to finish what dpkg has begun, in milliseconds. */
const LEAVE_MS = 30_000;
const MEND = "dpkg --configure -a";

/**
 * `packageInstall`, `packageRemove`, `packagePurge` (contract: Types): changes packages by apt and
 * tells by dpkg's database what has changed, dependencies included. The task types that share
 * `turns` never run at the same time. When the task is to end, apt has `leaveMs` to leave.
 */
export function packageChange(
  operation: Operation,
  turns: Turns,
  leaveMs = LEAVE_MS,
): TaskType {
  return {
    orphanMs: leaveMs,
    prepare(payload) {
      const request = parseRequest(operation, payload);
      return (context) =>
        turns.take(
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
  const before = await readDpkg(query);
  if (!before) throw needsApt();
  await refuseUnknown(request.names, query);
  const { exitCode, error } = await runApt(request, context, leaveMs);
  return await afterAll(context, async (later) => {
    const after = await readDpkg(queriesOf(later)) ?? before;
    const result = { ...request, changed: changesBetween(before, after) };
    if (error === undefined && !context.signal.aborted) {
      return { status: "success", exitCode, result };
    }
    const broken = brokenPackages(after);
    const aftermath = broken.length > 0 ? await tellBroken(broken, later) : undefined;
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

/** Has dpkg say in the log what is wrong; the sentence returned says how to mend it. */
async function tellBroken(ids: string[], context: TaskContext): Promise<string> {
  const { stdout } = await queriesOf(context)("dpkg", "--audit", ...ids);
  const sentence = `dpkg has left ${ids.join(", ")} half done: run "${MEND}" to mend it`;
  await context.onLines("system", `${stdout}[${sentence}]\n`);
  return sentence;
}
