import * as z from "@zod/zod";
import { Completion, Task } from "../control_plane/schemas.ts";
import { BootTime, bootTime } from "../system/boot_time.ts";
import { EndCause } from "./task_end.ts";

/** What the agent has promised about one task. */
export const TaskRecord = z.object({
  version: z.literal(1),
  task: Task,
  /** For people: whoever decides by it can be deceived by a clock that is set. */
  claimedAt: z.string(),
  /** When the promise was made; unknown in records of earlier versions. */
  claimed: BootTime.optional(),
  /** The process group, or the unit, written before its program begins. */
  process: z.object({
    pid: z.int().positive(),
    startTicks: z.string(),
    bootId: z.string(),
    unit: z.string().optional(),
  }).optional(),
  /** When that was; before there is one, when the control plane was told that the task runs. */
  started: BootTime.optional(),
  /**
   * Why it is being ended: an agent that takes it up may find its program ended by that. A later version
   * may know other causes; the task counts all the same.
   */
  cause: EndCause.optional().catch(undefined),
  /** How it ended, written before the control plane is told. */
  outcome: Completion.optional(),
});
/** What the agent has promised about one task. */
export type TaskRecord = z.infer<typeof TaskRecord>;

/** What of a record is on disk, but not in force yet. */
export interface StagedRecord {
  /**
   * Puts it in force, for whoever comes after a kill; false if the disk refuses, or has before. It is
   * written as soon as the disk takes something again.
   */
  commit(): Promise<boolean>;
  /** Resolves when it is in force after a loss of power as well. */
  sync(): Promise<void>;
  /** Removes it. */
  discard(): Promise<void>;
}

/** What a later line of a record's file adds to it. */
const Addition = TaskRecord.pick({
  process: true,
  started: true,
  cause: true,
  outcome: true,
}).extend({
  /** Whether the process that was noted last may run. */
  begun: z.literal(true).optional(),
});
type Addition = z.infer<typeof Addition>;

/** The line with which the file of a record begins: all of it. */
export function recordLine(record: TaskRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** The line that adds what has changed last: how the task ended, or a process that may not run yet. */
export function additionLine({ process, started, outcome }: TaskRecord): string {
  return `${JSON.stringify({ process, started, outcome } satisfies Addition)}\n`;
}

/** The line that says why a task is being ended. */
export function causeLine(cause: EndCause): string {
  return `${JSON.stringify({ cause } satisfies Addition)}\n`;
}

/** The line that says that the process which was noted last may run from now on. */
export const BEGUN_LINE: string = `${JSON.stringify({ begun: true } satisfies Addition)}\n`;

/**
 * Reads the file of a record: one line with all of it, and others that add to it. A last line that is
 * cut short has promised nothing, since nothing was done before it was whole: what was before counts.
 * So does it behind a process that was noted, and may not run yet, unless the machine was started
 * since: of a loss of power nobody knows what it took.
 *
 * @throws what is wrong with the text.
 */
export function parseRecord(text: string, bootId: string = bootTime().bootId): TaskRecord {
  const [first = "", ...others] = text.split("\n");
  let record = TaskRecord.parse(JSON.parse(first));
  let noted: Addition = {};
  for (const line of others.slice(0, -1)) {
    const { begun, ...addition } = Addition.parse(JSON.parse(line));
    if (begun) record = { ...record, ...noted };
    else if ("cause" in addition) record = { ...record, ...addition };
    else if (addition.outcome) record = { ...record, ...addition };
    else noted = addition;
  }
  const isOfBefore = noted.process !== undefined && noted.process.bootId !== bootId;
  return isOfBefore ? { ...record, ...noted } : record;
}
