import type { TaskContext } from "../tasks/task_type.ts";

/** How long a look at what there is may take after the task was to end, in milliseconds. */
const LAST_LOOK_MS = 10_000;

/** What comes after a change is done although the task has been told to end, but not for ever. */
export async function afterAll<T>(
  context: TaskContext,
  work: (context: TaskContext) => Promise<T>,
): Promise<T> {
  return await work({ ...context, signal: AbortSignal.timeout(LAST_LOOK_MS) });
}
