import { isTimeout } from "../system/deadline.ts";
import { TimeLimit } from "../system/stall.ts";
import { messageOf } from "../system/user_error.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import { queriesOf, type Query } from "./query.ts";

/** How long one look at what there is may take, in milliseconds. */
const LOOK_MS = 10_000;
/** How long a look for all that is broken may take, in milliseconds: dnf is asked twice, rpm often. */
export const AUDIT_MS = 60_000;

/**
 * Looks at something after a change, although the task may have been told to end, but not for ever.
 * What cannot be looked at is undefined, and the log says so: it takes nothing from what is known.
 */
export async function afterAll<T>(
  context: TaskContext,
  what: string,
  look: (query: Query) => Promise<T>,
  limitMs: number = LOOK_MS,
): Promise<T | undefined> {
  using limit = new TimeLimit(limitMs);
  try {
    return await look(queriesOf({ ...context, signal: limit.signal }));
  } catch (error) {
    const reason = isTimeout(error) ? `more than ${limitMs / 1_000} s` : messageOf(error);
    await context.onLines("system", `[${what} could not be looked at: ${reason}]\n`);
    return undefined;
  }
}
