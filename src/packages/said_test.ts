import assert from "node:assert/strict";
import { join } from "@std/path";
import { childHost } from "../hosts/child_host.ts";
import type { OutputChunk, Program } from "../hosts/host.ts";
import { contextOf } from "../tasks/_test_task_context.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import { Said } from "./said.ts";

async function* printed(text: string): AsyncGenerator<OutputChunk, void> {
  yield { stream: "stderr", bytes: new TextEncoder().encode(text) };
}

/** Hears a text; gives what is known to have been said. */
async function hear(said: Said, text: string): Promise<string> {
  for await (const _ of said.of(printed(text)));
  return said.stderr;
}

/** A program that can be taken up, and has ended. */
async function programOf({ taskId, signal }: TaskContext): Promise<Program> {
  const program = await childHost.start({ taskId, argv: ["true"], signal });
  await program.open();
  for await (const _ of program.output);
  await program.ended;
  return program;
}

Deno.test("what an earlier agent has heard of a package manager is known to the next one", async () => {
  const folder = await Deno.makeTempDir({ prefix: "said_" });
  try {
    const context = contextOf({ note: (name) => join(folder, name) });
    assert.equal(await hear(await Said.open(context), "E: one\n"), "E: one\n");
    const next = await Said.open({ ...context, takenUp: await programOf(context) });
    assert.equal(await hear(next, "E: two\n"), "E: one\nE: two\n");
    // A further attempt of the same task says everything itself.
    assert.equal(await hear(await Said.open(context), "E: three\n"), "E: three\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what is written down of it does not grow without end, however many agents do", async () => {
  const folder = await Deno.makeTempDir({ prefix: "said_" });
  try {
    const context = contextOf({ note: (name) => join(folder, name) });
    const takenUp = await programOf(context);
    let said = await Said.open(context);
    const line = `${"x".repeat(99)}\n`;
    for (let i = 0; i < 30; i++) {
      if (i % 9 === 8) said = await Said.open({ ...context, takenUp });
      await hear(said, line.repeat(1_000));
      assert.ok((await Deno.stat(join(folder, "stderr"))).size <= 1 << 20);
    }
    assert.ok(said.stderr.endsWith(line));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
