import assert from "node:assert/strict";
import { join } from "@std/path";
import type { LogStream } from "../control_plane/schemas.ts";
import { linesOf } from "../logs/log_entries.ts";
import { SecretMask } from "../logs/secret_mask.ts";
import { isAlive, readIfThere, until } from "./_test_processes.ts";
import { endTaskProcesses } from "./end_processes.ts";
import type { ProcessGroup } from "./process_table.ts";
import { childHost, LINGER_MS } from "./child_host.ts";
import type { HostCommand, OutputChunk, ProgramEnd } from "./host.ts";
import { quickestMs } from "../system/_quickest.ts";

interface Run {
  taskId: string;
  output: Record<LogStream, string>;
  abort: () => void;
  ended: Promise<ProgramEnd>;
}

/** Runs a program as a task does. */
async function runProgram(
  { onSpawn, onLines, ...command }: HostCommand & {
    onSpawn?: (group: ProcessGroup) => Promise<void>;
    onLines?: (stream: OutputChunk["stream"], lines: string) => Promise<void>;
  },
): Promise<ProgramEnd> {
  const program = await childHost.start(command);
  await onSpawn?.(program.group);
  await program.open();
  for await (const { stream, lines } of linesOf(program.output, new SecretMask([]))) {
    await onLines?.(stream, lines);
  }
  return await program.ended;
}

/** Runs a shell script; `onSpawn` may hold it at its gate. */
function run(
  script: string,
  options: {
    args?: string[];
    onSpawn?: (group: ProcessGroup) => Promise<void>;
    signal?: AbortController;
  } = {},
): Run {
  const taskId = crypto.randomUUID();
  const stop = options.signal ?? new AbortController();
  const output = { stdout: "", stderr: "", system: "" };
  const ended = runProgram({
    taskId,
    argv: ["/bin/sh", "-c", script, "sh", ...options.args ?? []],
    ...(options.onSpawn ? { onSpawn: options.onSpawn } : {}),
    onLines: (stream, lines) => {
      output[stream] += lines;
      return Promise.resolve();
    },
    signal: stop.signal,
  });
  return { taskId, output, abort: () => stop.abort(), ended };
}

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "run_" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function timed<T>(work: Promise<T>): Promise<{ result: T; tookMs: number }> {
  const startMs = performance.now();
  return { result: await work, tookMs: performance.now() - startMs };
}

Deno.test("all output is read to the last line, and the exit code told", async () => {
  const { output, ended } = run(
    "i=0; while [ $i -lt 2000 ]; do echo $i; echo e$i >&2; i=$((i+1)); done; printf last; exit 7",
  );
  assert.deepEqual(await ended, { exitCode: 7, signal: undefined, unkillable: 0 });
  const numbers = Array.from({ length: 2_000 }, (_, i) => i);
  assert.equal(output.stdout, numbers.map((i) => `${i}\n`).join("") + "last\n");
  assert.equal(output.stderr, numbers.map((i) => `e${i}\n`).join(""));
});

Deno.test("an end by signal n is exit code 128 + n", async () => {
  assert.deepEqual(await run("kill -9 $$").ended, {
    exitCode: 137,
    signal: "SIGKILL",
    unkillable: 0,
  });
  assert.equal((await run("kill -15 $$").ended).exitCode, 143);
});

Deno.test("a reader that takes its time loses nothing and is waited for", async () => {
  let held = "";
  await runProgram({
    taskId: crypto.randomUUID(),
    argv: ["/bin/sh", "-c", "seq 1 50000"],
    onLines: async (_, lines) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      held += lines;
    },
    signal: new AbortController().signal,
  });
  assert.equal(held, Array.from({ length: 50_000 }, (_, i) => `${i + 1}\n`).join(""));
});

Deno.test("an abort leaves nothing: children, those that ignore SIGTERM, daemons", () =>
  withFolder(async (folder) => {
    const { abort, ended } = run(
      `cd "$1"
       sleep 1000 & echo $! >child
       setsid sh -c 'echo $$ >session; exec sleep 1000' &
       ( ( setsid sh -c 'echo $$ >daemon; trap "" TERM HUP; while :; do sleep 1; done' \\
           </dev/null >/dev/null 2>&1 & ) & )
       sh -c 'trap "" TERM; echo $$ >deaf; while :; do sleep 1; done' &
       echo $$ >leader
       wait`,
      { args: [folder] },
    );
    const names = ["child", "session", "daemon", "deaf", "leader"];
    const files = names.map((name) => join(folder, name));
    const contents = () => Promise.all(files.map(readIfThere));
    await until(async () => (await contents()).every((pid) => pid !== ""));
    const pids = (await contents()).map(Number);
    abort();
    const { result, tookMs } = await timed(ended);
    assert.equal(result.signal, "SIGTERM");
    assert.equal(result.unkillable, 0);
    assert(tookMs > 4_900, `5 s of grace, took ${tookMs} ms`);
    for (const [index, pid] of pids.entries()) assert(!await isAlive(pid), `${names[index]} lives`);
  }));

Deno.test("what has neither mark nor leader any more is ended all the same", () =>
  withFolder(async (folder) => {
    const deaf = join(folder, "deaf");
    const taskId = crypto.randomUUID();
    const stop = new AbortController();
    // `env -i` takes the mark away; the shell goes at SIGTERM, its deaf child does not.
    const script =
      `env -i /bin/sh -c 'trap "" TERM; echo $$ >"$0"; while :; do /bin/sleep 1; done' \\
      "$1" & wait`;
    let group: ProcessGroup | undefined;
    const ended = runProgram({
      taskId,
      argv: ["/usr/bin/env", "-i", "/bin/sh", "-c", script, "sh", deaf],
      onSpawn: (spawned) => {
        group = spawned;
        return Promise.resolve();
      },
      signal: stop.signal,
    });
    await until(async () => await readIfThere(deaf) !== "");
    const pid = Number(await readIfThere(deaf));
    try {
      // With less patience than the runner has, and then once more through the runner.
      assert.equal(await endTaskProcesses(taskId, group, 100), 0);
      assert(!await isAlive(pid));
    } finally {
      stop.abort();
      await ended;
      if (await isAlive(pid)) Deno.kill(pid, "SIGKILL");
    }
  }));

Deno.test("an abort at the gate runs nothing, whether it comes before, at or after the spawn", () =>
  withFolder(async (folder) => {
    const proof = join(folder, "proof");
    for (const when of ["before", "at"]) {
      const signal = new AbortController();
      if (when === "before") signal.abort();
      const onSpawn = () => Promise.resolve(signal.abort());
      const { ended } = run('echo ran >"$1"', { args: [proof], signal, onSpawn });
      assert.notEqual((await ended).exitCode, 0);
      await assert.rejects(Deno.stat(proof), Deno.errors.NotFound);
    }
  }));

Deno.test("a background child that holds the output delays the end by 2 s and is left alone", () =>
  withFolder(async (folder) => {
    // On a machine that stands still it prints little in that time: then it is tried again.
    let isKept = false;
    for (let tries = 0; tries < 5 && !isKept; tries++) {
      const { output, ended } = run(
        `( trap '' PIPE; i=0
           while :; do echo $i; sleep 0.1; i=$((i+1)); done ) & echo $! >"$1"; echo out`,
        { args: [join(folder, "pid")] },
      );
      const { result, tookMs } = await timed(ended);
      const pid = Number(await Deno.readTextFile(join(folder, "pid")));
      assert.deepEqual(result, { exitCode: 0, signal: undefined, unkillable: 0 });
      assert(tookMs > LINGER_MS - 100, `took ${tookMs} ms`);
      assert(output.stdout.includes("out\n"));
      isKept = output.stdout.includes("\n3\n");
      assert(await isAlive(pid));
      const afterEnd = output.stdout;
      Deno.kill(pid, "SIGKILL");
      await until(async () => !await isAlive(pid));
      assert.equal(output.stdout, afterEnd, "nothing is read any more");
    }
    assert(isKept, "what it printed in that time is kept");
  }));

Deno.test("a background child that never stops printing delays the end not much longer", () =>
  withFolder(async (folder) => {
    const file = join(folder, "pid");
    const script = '$| = 1; while (1) { print "tick\\n"; select undef, undef, undef, 0.02 }';
    const { ended } = run(`perl -e '${script}' & echo $! >"$1"`, { args: [file] });
    await ended;
    Deno.kill(Number(await Deno.readTextFile(file)), "SIGKILL");
  }));

Deno.test("a background child that has let go of the output delays nothing", async () => {
  const tookMs = await quickestMs(LINGER_MS, async () => {
    const { ended, taskId } = run("sleep 1000 >/dev/null 2>&1 & echo out");
    await ended;
    assert.equal(await endTaskProcesses(taskId, undefined), 0);
  });
  assert(tookMs < LINGER_MS, `took ${tookMs} ms`);
});

Deno.test("lines that take long to be stored are no reason to leave the others behind", async () => {
  let stdout = "";
  const { exitCode } = await runProgram({
    taskId: crypto.randomUUID(),
    argv: ["/bin/sh", "-c", "echo first; sleep 0.3; seq 100; exit 0"],
    onLines: async (_, lines) => {
      // A disk that is busy with something else.
      if (stdout === "") await new Promise((resolve) => setTimeout(resolve, LINGER_MS + 1_000));
      stdout += lines;
    },
    signal: new AbortController().signal,
  });
  assert.equal(exitCode, 0);
  const numbers = Array.from({ length: 100 }, (_, i) => i + 1);
  assert.equal(stdout, ["first", ...numbers, ""].join("\n"));
});

Deno.test("a chain of forks that ignores SIGTERM is ended with all the rest", () =>
  withFolder(async (folder) => {
    const chain = `$SIG{TERM} = "IGNORE"; $end = time + 60; open F, ">>", $ARGV[0];
      while (time < $end) { exit if fork; syswrite F, "."; select undef, undef, undef, 0.0005 }`;
    const beats = join(folder, "beats");
    const size = async () => (await readIfThere(beats)).length;
    for (let i = 0; i < 3; i++) {
      const { abort, ended } = run(`perl -e '${chain}' "$1"; sleep 100`, { args: [beats] });
      const before = await size();
      await until(async () => await size() > before + 20);
      abort();
      assert.equal((await ended).unkillable, 0);
      const atEnd = await size();
      await new Promise((resolve) => setTimeout(resolve, 200));
      assert.equal(await size(), atEnd, "it goes on");
    }
  }));

Deno.test("a machine that can start nothing more still asks a program to end, and looks for what is left", () =>
  withFolder(async (folder) => {
    const file = join(folder, "pid");
    const { abort, ended } = run('echo $$ >"$1"; sleep 1000 & wait', { args: [file] });
    await until(async () => await readIfThere(file) !== "");
    // Stands for EAGAIN, which a full process table answers; it cannot be had for one test alone.
    const { Command } = Deno;
    Object.assign(Deno, {
      Command: class {
        spawn = () => {
          throw new Error("Resource temporarily unavailable");
        };
      },
    });
    try {
      abort();
      assert.equal((await ended).signal, "SIGTERM");
    } finally {
      Object.assign(Deno, { Command });
    }
  }));

async function asksFirst(folder: string): Promise<void> {
  // The child would die of the signal, and goes on when it has come; the shell waits for it when `$1` says so.
  const script = `trap 'echo asked; : >"$2"; [ "$1" = stay ] || { wait; echo left; exit 5; }' INT
    env --default-signal=INT sh -c 'until [ -e "$0" ]; do sleep 0.05; done; sleep 0.1; echo done' "$2" &
    echo ready; wait; while :; do sleep 0.1; done`;
  for (const what of ["leave", "stay", "cannot be asked"]) {
    const stop = new AbortController();
    let stdout = "";
    const { result, tookMs } = await timed(runProgram({
      taskId: crypto.randomUUID(),
      argv: ["/bin/sh", "-c", script, "sh", what, join(folder, what)],
      onLines: (_, lines) => {
        stdout += lines;
        if (lines.includes("ready")) stop.abort();
        return Promise.resolve();
      },
      signal: stop.signal,
      askFirst: {
        ask: ({ pid }) =>
          what === "cannot be asked"
            ? Promise.reject(new Error("no way to ask"))
            : Promise.resolve(Deno.kill(pid, "SIGINT")),
        graceMs: what === "leave" ? 60_000 : 1_500,
      },
    }));
    if (what === "leave") {
      assert.deepEqual(result, { exitCode: 5, signal: undefined, unkillable: 0 });
      assert.equal(stdout, "ready\nasked\ndone\nleft\n");
    } else {
      assert.equal(result.signal, "SIGTERM");
      assert(what !== "stay" || tookMs > 1_500, `it took ${tookMs} ms`);
    }
  }
}

Deno.test("a program that is asked first is alone in being asked, and ended when its time is over", () =>
  withFolder(asksFirst));
