import assert from "node:assert/strict";
import { join } from "@std/path";
import { isAlive } from "./_test_processes.ts";
import { type GatedChild, spawnGated } from "./child_host.ts";
import { findTaskProcesses } from "./process_table.ts";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "gate_" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return (await Array.fromAsync(stream.pipeThrough(new TextDecoderStream()))).join("");
}

/** Reads a child's output and waits for its end. */
async function outcomeOf(child: GatedChild) {
  const [stdout, stderr, status] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    child.status,
  ]);
  return { stdout, stderr, code: status.code };
}

Deno.test("the program runs when its gate is opened, and not before", () =>
  withFolder(async (folder) => {
    const proof = join(folder, "proof");
    const script = 'echo ran >"$0"; echo out; echo err >&2; cat; exit 3';
    const taskId = crypto.randomUUID();
    const child = spawnGated({ taskId, argv: ["/bin/sh", "-c", script, proof] });
    // The child is at its gate: nothing but a line on its standard input lets it go on.
    const { processes } = await findTaskProcesses(taskId, child.group);
    assert.deepEqual(processes.map(({ pid }) => pid), [child.group.pid]);
    await assert.rejects(Deno.stat(proof), Deno.errors.NotFound);
    await child.open();
    assert.deepEqual(await outcomeOf(child), { stdout: "out\n", stderr: "err\n", code: 3 });
    assert.equal(await Deno.readTextFile(proof), "ran\n");
  }));

Deno.test("a gate that is never opened runs nothing, whether it is refused or the agent is gone", () =>
  withFolder(async (folder) => {
    const proof = join(folder, "proof");
    const options = { taskId: "gate-2", argv: ["/bin/sh", "-c", 'echo ran >"$0"', proof] };
    const child = spawnGated(options);
    await child.refuse();
    assert.deepEqual(await outcomeOf(child), { stdout: "", stderr: "", code: 125 });

    // An agent that dies at once after the spawn: its end of the pipe closes by itself.
    const agent = await new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `import { spawnGated } from ${JSON.stringify(import.meta.resolve("./child_host.ts"))};
         const child = spawnGated(${JSON.stringify(options)});
         await Deno.stdout.write(new TextEncoder().encode(String(child.group.pid)));
         Deno.kill(Deno.pid, "SIGKILL");`,
      ],
      stderr: "piped",
    }).output();
    const pid = Number(new TextDecoder().decode(agent.stdout));
    assert(pid > 0, new TextDecoder().decode(agent.stderr));
    while (await isAlive(pid));
    await assert.rejects(Deno.stat(proof), Deno.errors.NotFound);
  }));

Deno.test("the child leads a group of its own and tells who it is", async () => {
  const child = spawnGated({
    taskId: "gate-3",
    argv: ["/bin/sh", "-c", "ps -o pid=,pgid=,sid= -p $$"],
  });
  assert.match(child.group.startTicks, /^\d+$/);
  assert.match(child.group.bootId, /^[0-9a-f-]{36}$/);
  await child.open();
  const { stdout } = await outcomeOf(child);
  const { pid } = child.group;
  assert.deepEqual(stdout.trim().split(/\s+/).map(Number), [pid, pid, pid]);
});

Deno.test("the program gets its environment as it is, and nothing of the gate's", async () => {
  const env = { stat: "s", boot: "b", go: "g", line: "a\nb", AGENT_TASK_ID: "somebody else" };
  const child = spawnGated({
    taskId: "gate-4",
    argv: ["/bin/sh", "-c", 'echo "$stat $boot $go $line"; env | grep ^AGENT_'],
    env,
  });
  await child.open();
  const { stdout } = await outcomeOf(child);
  assert.equal(stdout, "s b g a\nb\nAGENT_TASK_ID=gate-4\n");
});

Deno.test("arguments arrive as they are, a program that is missing says so", async () => {
  const args = ["", " a  b ", "$HOME `x` \\n", "*", "-e", "'\""];
  const child = spawnGated({
    taskId: "gate-5",
    argv: ["/bin/sh", "-c", 'printf "<%s>" "$@"', "sh", ...args],
  });
  await child.open();
  assert.equal((await outcomeOf(child)).stdout, args.map((arg) => `<${arg}>`).join(""));

  const missing = spawnGated({ taskId: "gate-6", argv: ["/no/such/program"] });
  await missing.open();
  const { code, stderr } = await outcomeOf(missing);
  assert.equal(code, 127);
  assert.match(stderr, /\/no\/such\/program/);
});
