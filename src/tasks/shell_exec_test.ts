import assert from "node:assert/strict";
import { join } from "@std/path";
import * as z from "@zod/zod";
import { childHost } from "../hosts/child_host.ts";
import { asAgent } from "../privileges/launch.ts";
import { contextOf } from "./_test_task_context.ts";
import { CommandOutput, startLine } from "./command_output.ts";
import { shellExec } from "./shell_exec.ts";
import { describeBadPayload, type TaskContext, type TaskOutcome } from "./task_type.ts";

type Printed = Record<"stdout" | "stderr" | "system", string>;

async function run(
  payload: unknown,
  own: Partial<TaskContext> = {},
): Promise<TaskOutcome & Printed> {
  const printed: Printed = { stdout: "", stderr: "", system: "" };
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  const { taskId = "t-1" } = own;
  const mark = startLine(taskId);
  const outcome = await shellExec.prepare(payload)(contextOf({
    taskId,
    keep: async (output) => {
      const seen = new CommandOutput(mark);
      for await (const chunk of output) {
        seen.see(chunk);
        printed[chunk.stream] += decoders[chunk.stream].decode(chunk.bytes, { stream: true });
      }
      return seen;
    },
    onLines: (stream, lines) => {
      printed[stream] += lines;
      return Promise.resolve();
    },
    ...own,
  }));
  // The log of a task leaves it out.
  const [stdout, stderr] = [printed.stdout, printed.stderr].map((text) =>
    text.replace(`${mark}\n`, "")
  );
  return { ...outcome, ...printed, stdout: stdout ?? "", stderr: stderr ?? "" };
}

Deno.test("a command runs in a login shell, with nothing to read and nobody to page for", async () => {
  const { status, exitCode, stdout } = await run({
    command: 'echo "$PAGER $COLUMNS"; cat; echo $-; shopt -q login_shell && echo login',
    shell: "/bin/bash",
    // Nobody's own settings: those may take their time.
    environment: { HOME: "/nonexistent" },
  });
  assert.equal(status, "success");
  assert.equal(exitCode, 0);
  assert.match(stdout, /^cat 100000\n\S*\nlogin\n$/);
});

Deno.test("a command that a login profile does not let begin has failed, and no other", async () => {
  const cases: { profile: string; begins: boolean; stdout?: string; stderr?: string }[] = [
    { profile: "echo hello >&2; exit 0", begins: false, stderr: "hello\n" },
    { profile: "exec /bin/sh", begins: false },
    { profile: "exec >/dev/null 2>&1; exit 0", begins: false },
    { profile: "echo hello", begins: true, stdout: "hello\nrun\n" },
    // Where the output goes, a profile may change.
    { profile: "exec 2>&1", begins: true, stdout: "run\n" },
    { profile: 'exec > >(tee "$HOME/log") 2>&1', begins: true, stdout: "run\n" },
    { profile: 'exec 2>>"$HOME/log"', begins: true, stdout: "run\n" },
    { profile: 'exec >"$HOME/log" 2>&1', begins: true },
  ];
  for (const { profile, begins, ...printed } of cases) {
    const HOME = await Deno.makeTempDir({ prefix: "profile_" });
    try {
      await Deno.writeTextFile(join(HOME, ".profile"), profile);
      const { status, error = "", stdout, stderr } = await run({
        command: "echo run",
        shell: profile.includes(">(") ? "/bin/bash" : "/bin/sh",
        environment: { HOME },
      });
      assert.equal(status, begins ? "success" : "failed", profile);
      if (!begins) assert.match(error, /^the command never began: the login shell ended before it/);
      assert.deepEqual({ stdout, stderr }, { stdout: "", stderr: "", ...printed }, profile);
    } finally {
      await Deno.remove(HOME, { recursive: true });
    }
  }
});

Deno.test("/bin/sh is the shell where none is named", async () => {
  for (const shell of [undefined, null, ""]) {
    assert.equal((await run({ command: "echo $0", shell })).stdout, "/bin/sh\n");
  }
});

Deno.test("folder and environment are the payload's, unknown properties do not matter", async () => {
  const { stdout } = await run({
    command: 'pwd; echo "$A|$B|$C|$PAGER"',
    working_dir: "/",
    environment: { A: "a b\nc", B: 5, C: true, PAGER: "less" },
    timeout: "5s",
    surprise: {},
  });
  assert.equal(stdout, "/\na b\nc|5|true|less\n");
});

Deno.test("an exit code and a signal are told", async () => {
  const failed = await run({ command: "echo out; echo err >&2; exit 3" });
  assert.deepEqual(failed, {
    status: "failed",
    exitCode: 3,
    error: "the command exited with code 3",
    stdout: "out\n",
    stderr: "err\n",
    system: "",
  });
  const killed = await run({ command: "kill -TERM $$" });
  assert.equal(killed.exitCode, 143);
  assert.equal(killed.error, "the command was ended by SIGTERM");
});

Deno.test("a shell or a folder that cannot be used is told of before anything runs", async () => {
  const cases: [object, RegExp][] = [
    [{ shell: "/no/such/shell" }, /^payload\.shell: there is no program \/no\/such\/shell/],
    [{ shell: "/etc" }, /^payload\.shell: there is no program/],
    [{ shell: "/etc/passwd" }, /^payload\.shell: .* not executable/],
    [{ working_dir: "/no/such/folder" }, /^payload\.working_dir: there is no folder/],
    [{ working_dir: "/etc/passwd" }, /^payload\.working_dir: there is no folder/],
  ];
  for (const [payload, error] of cases) {
    const outcome = await run({ command: "echo ran", ...payload });
    assert.equal(outcome.status, "failed");
    assert.match(outcome.error ?? "", error);
    assert.equal(outcome.stdout, "");
  }
});

Deno.test("a command too long for the machine fails as a task, not as an agent", async () => {
  const { status, error } = await run({ command: `: ${"x".repeat(3_000_000)}` });
  assert.equal(status, "failed");
  assert.match(error ?? "", /^payload\.command: longer than 1 MiB/);
});

Deno.test("a bad payload is refused in one sentence that names the field", () => {
  const cases: [unknown, string][] = [
    [{}, "payload.command: "],
    [{ command: "" }, "payload.command: must not be empty"],
    [{ command: 5 }, "payload.command: "],
    [{ command: "a\0b" }, "payload.command: must not contain NUL"],
    [{ command: "x", shell: 5 }, "payload.shell: "],
    [{ command: "x", working_dir: [] }, "payload.working_dir: "],
    [{ command: "x", environment: [] }, "payload.environment: "],
    [{ command: "x", environment: { A: null } }, "payload.environment.A: "],
    [{ command: "x", environment: { A: "\0" } }, "payload.environment.A: "],
    [{ command: "x", environment: { "A=B": "" } }, "payload.environment.A=B: "],
    [{ command: "x", environment: { "": "" } }, "payload.environment.: "],
    [null, "payload: "],
    ["x", "payload: "],
  ];
  for (const [payload, beginning] of cases) {
    assert.throws(() => shellExec.prepare(payload), (error) => {
      assert(error instanceof z.ZodError);
      const sentence = describeBadPayload(error);
      assert(sentence.startsWith(`bad payload: ${beginning}`), sentence);
      assert(!sentence.includes("\n"));
      return true;
    }, JSON.stringify(payload));
  }
});

Deno.test("a command over 128 KiB runs, and a variable of that length is named", async () => {
  const long = "ü".repeat(200_000);
  for (const shell of [undefined, "/bin/bash"]) {
    const command = `: ${long}\necho "$#" "\${AGENT_COMMAND-unset}" "$0"; exit 3`;
    const environment = { HOME: "/nonexistent" };
    const { exitCode, stdout } = await run({ command, shell, environment });
    assert.deepEqual([exitCode, stdout], [3, `0 unset ${shell ?? "/bin/sh"}\n`]);
  }
  const { error } = await run({ command: `: ${long}`, shell: "/usr/bin/env" });
  assert.match(error ?? "", /^payload\.command: \/usr\/bin\/env takes no more than 128 KiB/);
  const many = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [i, "x".repeat(100_000)]));
  assert.throws(() => shellExec.prepare({ command: "true", environment: many }), /768 KiB/);
  assert.throws(
    () => shellExec.prepare({ command: "true", environment: { BIG: "x".repeat(200_000) } }),
    (error: z.ZodError) =>
      describeBadPayload(error) ===
        "bad payload: payload.environment.BIG: is longer than the 128 KiB that Linux takes for one variable",
  );
});

Deno.test("variables that no shell can name reach programs, or it is said that they do not", async () => {
  const odd = { "spring.datasource.url": 'it\'s "x" $y', "-b": 2, "%": "" };
  const environment = { A: "1", ...odd, HOME: "/nonexistent" };
  const command = "grep -zE '^(A|spring[.a-z]+|-b|%)=' /proc/self/environ | tr '\\0' ';'";
  const given = ["%=", "-b=2", "A=1", 'spring.datasource.url=it\'s "x" $y'];
  const names = "spring.datasource.url, -b, %";
  const cases: [string | undefined, string[], RegExp][] = [
    ["/bin/bash", given, /^$/],
    [undefined, given, /^(\[\/bin\/bash runs the command, as \/bin\/sh does not hand .*\]\n)?$/],
  ];
  if (await Deno.stat("/bin/dash").then(() => true, () => false)) {
    cases.push(["/bin/dash", ["A=1"], /^\[these variables reach the shell alone, .*\]\n$/]);
  }
  for (const [shell, expected, said] of cases) {
    for (const working_dir of [undefined, "/"]) {
      const { stdout, system } = await run({ command, shell, working_dir, environment });
      assert.deepEqual(stdout.split(";").filter(Boolean).sort(), expected, `${shell}`);
      assert.match(system, said);
      assert(system === "" || system.includes(names), system);
    }
  }
  const { error } = await run({ command, shell: "/a=b/sh", environment });
  assert.match(error ?? "", /^payload\.shell: with "=" in it/);
});

Deno.test("a variable of the payload's own stays, whatever those are called that carry others", async () => {
  const environment = {
    AGENT_VARIABLE_0: "mine",
    "a.b": "odd",
    AGENT_VARIABLE_1: "mine too",
    HOME: "/nonexistent",
  };
  const command = "grep -zE '^(AGENT_VARIABLE_|a.b=)' /proc/self/environ | tr '\\0' ';'";
  const { stdout } = await run({ command, shell: "/bin/bash", environment });
  const given = ["AGENT_VARIABLE_0=mine", "AGENT_VARIABLE_1=mine too", "a.b=odd"];
  assert.deepEqual(stdout.split(";").filter(Boolean).sort(), given);
});

Deno.test("a variable that no shell can name may be as long as what carries it can be", async () => {
  const most = 128 * 1024 - 1 - "AGENT_VARIABLE_0=a.b=".length;
  const payloadOf = (length: number) => ({
    command: "grep -cz '^a.b=x' /proc/self/environ",
    shell: "/bin/bash",
    environment: { "a.b": "x".repeat(length), HOME: "/nonexistent" },
  });
  assert.equal((await run(payloadOf(most))).stdout, "1\n");
  assert.throws(() => shellExec.prepare(payloadOf(most + 1)), /128 KiB/);
});

Deno.test("whether root access is allowed is asked when the task has begun, and not before", async () => {
  const begun = Promise.withResolvers<void>();
  const privileges = {
    unprivileged: asAgent,
    root: asAgent,
    sudo: false,
    allows: () => Promise.resolve(isAllowed ? undefined : "not allowed any more"),
  };
  let isAllowed = true;
  const payload = { command: "true", runAsRoot: true, rootScope: "task" };
  const running = run(payload, { begun: begun.promise, privileges });
  // So many turns an earlier question would have been answered in.
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  isAllowed = false;
  begun.resolve();
  assert.equal((await running).error, "not allowed any more");
});

Deno.test("a look at a shell has its time from when it runs, however late the task begins", async () => {
  const { setTimeout } = globalThis;
  const limits: number[] = [];
  const environment = { "a.b": "1", HOME: "/nonexistent" };
  const payload = { command: "true", shell: "/bin/bash", environment };
  const taskId = crypto.randomUUID();
  const before: number[] = [];
  globalThis.setTimeout = Object.assign(
    (...[act, ms, ...args]: Parameters<typeof setTimeout>) => {
      if (Number(ms) >= 10_000) limits.push(Number(ms));
      return setTimeout(act, ms, ...args);
    },
    setTimeout,
  );
  try {
    const { status } = await run(payload, {
      taskId,
      async start(command) {
        const program = await childHost.start({ ...command, taskId });
        await program.open();
        if (command.isLook) before.push(limits.length);
        return program;
      },
    });
    assert.equal(status, "success");
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  assert.deepEqual(before, [0], "no limit runs before the program does");
  assert.deepEqual(limits, [30_000], "one does from then on");
});

Deno.test("a command that is taken up and was seen to begin is looked at no more", async () => {
  const end = { exitCode: 0, signal: undefined, unkillable: 0 };
  const looks: boolean[] = [];
  const outcomeOf = (hasBegun: boolean) =>
    shellExec.prepare({ command: "true" })(contextOf({
      keep: () => Promise.resolve({ hasBegun, stderr: "" }),
      takenUp: {
        group: { pid: 1, startTicks: "", bootId: "" },
        open: () => Promise.resolve(),
        output: { async *[Symbol.asyncIterator]() {} },
        exited: Promise.resolve(),
        ended: Promise.resolve(end),
      },
      start: () => {
        looks.push(hasBegun);
        return Promise.reject(new Error("nothing is to be started"));
      },
    }));
  assert.deepEqual(await outcomeOf(true), { status: "success", exitCode: 0 });
  assert.deepEqual(await outcomeOf(false), { status: "success", exitCode: 0 });
  assert.deepEqual(looks, [false]);
});

Deno.test("a command that systemd cannot start says so, and not that it had that exit code", async () => {
  const unit = "noderax-task-t-1.service";
  const run217 = (says: string, unit: string | undefined) =>
    run({ command: "exit 217" }, {
      start: async ({ signal }) => {
        const argv = ["/bin/sh", "-c", `${says}exit 217`];
        const program = await childHost.start({ taskId: "t-1", argv, signal });
        await program.open();
        return { ...program, group: { ...program.group, ...unit === undefined ? {} : { unit } } };
      },
    }).then(({ error }) => error);
  const begins = `echo "${startLine("t-1")}" >&2; `;
  assert.match(await run217("", unit) ?? "", /never began: this machine has no user root any more/);
  assert.equal(await run217(begins, unit), "the command exited with code 217");
  assert.equal(await run217("", undefined), "the command exited with code 217");
});
