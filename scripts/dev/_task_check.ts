import { hasEnded, type Task, type TaskStatus } from "./_task.ts";

/** What is waited for: states, one of which the task is or once was in, or a predicate. */
export type TaskCondition = readonly TaskStatus[] | ((task: Readonly<Task>) => boolean);

/**
 * `holds` answers the task once the condition holds and throws when that cannot come any more;
 * `what` says how things stand, with what `describe` has to say.
 */
export function taskCheck(
  task: Readonly<Task>,
  condition: TaskCondition,
  describe: () => string,
): { holds: () => Readonly<Task> | undefined; what: () => string } {
  const isPredicate = typeof condition === "function";
  const isMet = isPredicate
    ? condition
    : () => task.transitions.some(({ status }) => condition.includes(status));
  const wanted = isPredicate ? "a condition on it" : `state ${condition.join(" or ")}`;
  const holds = () => {
    if (isMet(task)) return { ...task };
    if (!isPredicate && hasEnded(task)) {
      throw new Error(`the task will not come to ${wanted} any more: ${describe()}`);
    }
    return undefined;
  };
  return { holds, what: () => `${wanted}: ${describe()}` };
}
