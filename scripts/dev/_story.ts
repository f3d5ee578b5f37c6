import { nowMs, type RequestRecord } from "./_ledger.ts";
import type { Task } from "./_task.ts";

/** How a task stands: its states, the end of its log and its last calls, as lines of text. */
export function tellStory(task: Readonly<Task>, requests: readonly RequestRecord[]): string {
  const since = (at: number) => `+${(at - task.createdAt).toFixed(0)} ms`;
  const states = task.transitions.map(({ status, at, note }) =>
    `  ${since(at)} ${status}${note ? ` (${note})` : ""}`
  );
  const entries = task.logs.slice(-3).map(({ stream, line }) =>
    `  ${stream}: ${line.slice(0, 200)}`
  );
  const calls = requests.filter(({ taskId }) => taskId === task.id).slice(-8).map((call) =>
    `  ${since(call.at)} ${call.method} ${call.path} -> ${call.status ?? call.outcome}`
  );
  return [
    `task ${task.id} (${task.type}) is ${task.status}, now is ${since(nowMs())}`,
    ...states,
    `${task.logs.length} log entries${entries.length > 0 ? ", the last ones:" : ""}`,
    ...entries,
    calls.length > 0 ? "the last calls:" : "no calls yet",
    ...calls,
  ].join("\n");
}
