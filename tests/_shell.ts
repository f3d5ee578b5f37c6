import assert from "node:assert/strict";
import type { Fleet } from "./_agent.ts";

/** The part of a command that waits until a test has made a file. */
export function untilThere(file: string): string {
  return `until [ -e '${file}' ]; do sleep 0.05; done`;
}

/** The output of a task that must succeed. */
export async function outputOf(fleet: Fleet, command: string, payload = {}): Promise<string> {
  const { id, status, completion } = await fleet.ended(fleet.shell(command, payload));
  assert.equal(status, "success", `${command}: ${completion?.error} ${completion?.output}`);
  return fleet.controlPlane.streamText(id, "stdout");
}

/** The failure of a task that must fail. */
export async function errorOf(fleet: Fleet, command: string, payload = {}): Promise<string> {
  const { status, completion } = await fleet.ended(fleet.shell(command, payload));
  assert.equal(status, "failed", command);
  return completion?.error ?? "";
}
