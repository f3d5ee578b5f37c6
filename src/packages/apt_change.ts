import type { TaskContext, TaskOutcome } from "../tasks/task_type.ts";
import { afterAll } from "./after_all.ts";
import { runApt } from "./apt.ts";
import { auditDpkg } from "./dpkg_audit.ts";
import { changesBetween, readDpkg } from "./dpkg.ts";
import { refuseUnknown } from "./apt_names.ts";
import type { ChangeRequest } from "./change_request.ts";
import { needsApt, queriesOf } from "./query.ts";

/** Changes packages by apt-get, and tells by dpkg's database what has changed. */
export async function changeByApt(
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

/** Says what dpkg has left unfinished; undefined if there is nothing. */
export async function auditAfterApt(context: TaskContext): Promise<string | undefined> {
  const query = queriesOf(context);
  return await auditDpkg(await readDpkg(query) ?? [], query, context.onLines);
}
