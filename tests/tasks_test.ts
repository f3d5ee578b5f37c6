import assert from "node:assert/strict";
import { join } from "@std/path";
import { Fleet } from "./_agent.ts";
import { PATIENCE_MS } from "./_processes.ts";
import { tell, together } from "./_together.ts";

Deno.test("shell.exec runs commands in a login shell and tells how they ended", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp, folder } = fleet;
  await using agent = await fleet.agent();
  await Deno.writeTextFile(join(folder, ".profile"), "FROM_PROFILE=read\n");

  /** Runs a command that must end like this. */
  const check = async (
    command: string,
    payload: Record<string, unknown>,
    expected: { status?: string; exitCode?: number; error?: string; output?: string },
  ) => {
    const { status, completion } = await fleet.ended(fleet.shell(command, payload));
    const { exitCode, error, output } = completion ?? {};
    const wanted = { status: "success", exitCode: 0, error: undefined, output: undefined };
    assert.deepEqual({ status, exitCode, error, output }, { ...wanted, ...expected }, command);
    assert(Number.isInteger(completion?.durationMs));
  };
  const failed = (exitCode: number, error = `the command exited with code ${exitCode}`) => ({
    status: "failed",
    exitCode,
    error,
  });

  await together({
    "success": () => check("echo done", {}, { output: "done" }),
    "silence": () => check("true", {}, {}),
    "exit code": () =>
      check("echo oops >&2; exit 7", {}, { ...failed(7), output: "[stderr] oops" }),
    "unknown command": async () => {
      const { completion } = await fleet.ended(fleet.shell("no-such-program-here"));
      assert.equal(completion?.exitCode, 127);
      assert.match(completion.output ?? "", /^\[stderr\] .*no-such-program-here/);
    },
    "killed": () => check("kill -9 $$", {}, failed(137, "the command was ended by SIGKILL")),
    "terminated": () => check("kill -15 $$", {}, failed(143, "the command was ended by SIGTERM")),
    "default shell": () => check("echo $0", {}, { output: "/bin/sh" }),
    "another shell": () =>
      check('echo "$0 ${BASH_VERSION:+is bash}"', { shell: "/bin/bash" }, {
        output: "/bin/bash is bash",
      }),
    "a shell on the PATH": () => check("shopt -q login_shell", { shell: "bash" }, {}),
    "empty fields are none": () =>
      check("echo $0", { shell: "", working_dir: "", timeout: "" }, { output: "/bin/sh" }),
    "null fields are none": () =>
      check("echo $0", { shell: null, working_dir: null, environment: null, timeout: null }, {
        output: "/bin/sh",
      }),
    "login shell": () =>
      check("echo $FROM_PROFILE", { environment: { HOME: folder } }, { output: "read" }),
    "folder": () => check("pwd", { working_dir: "/usr/share" }, { output: "/usr/share" }),
    "environment": () =>
      check('echo "$A|$B|$C"', { environment: { A: "a b", B: 2, C: true } }, {
        output: "a b|2|true",
      }),
    "nobody reads or types": () => check("echo $PAGER $COLUMNS", {}, { output: "cat 100000" }),
    "the task's PAGER wins": () =>
      check("echo $PAGER", { environment: { PAGER: "less" } }, { output: "less" }),
    "standard input is closed": () =>
      check("cat; read x || echo nothing", {}, { output: "nothing" }),
    "a session of its own": () =>
      check(
        "read -r pid _ _ _ group session _ </proc/$$/stat; echo $((pid-group)) $((pid-session))",
        {},
        {
          output: "0 0",
        },
      ),
    "many lines of a script": () =>
      check("for i in 1 2 3; do\n  echo $i\ndone | tac", {}, { output: "3\n2\n1" }),
    "a background child that keeps the output open": async () => {
      const task = await fleet.ended(fleet.shell("sleep 1000 & echo done"));
      assert.equal(task.status, "success");
      assert.equal(task.completion?.output, "done");
      const tookMs = (task.endedAt ?? 0) - (task.startedAt ?? 0);
      tell(`a background child that keeps the output open: ${tookMs.toFixed()} ms`);
      assert(tookMs < PATIENCE_MS, `it took ${tookMs} ms`);
    },
    "a background child that lets go of it": async () => {
      const task = await fleet.ended(fleet.shell("sleep 1000 >/dev/null 2>&1 & echo done"));
      assert.equal(task.status, "success");
      const tookMs = (task.endedAt ?? 0) - (task.startedAt ?? 0);
      tell(`a background child that lets go of it: ${tookMs.toFixed()} ms`);
      assert(tookMs < PATIENCE_MS, `it took ${tookMs} ms`);
    },
  });
  assert.deepEqual(cp.violations, []);
  assert.deepEqual((await agent.stop()).code, 0);
});

Deno.test("a task that cannot be run says what is wrong with it", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp } = fleet;
  await using _agent = await fleet.agent();

  const fails = async (payload: Record<string, unknown>, error: RegExp, type = "shell.exec") => {
    const task = await fleet.ended(cp.queueTask({ type, payload }));
    assert.equal(task.status, "failed");
    assert.match(task.completion?.error ?? "", error);
    assert.equal(task.completion?.exitCode, undefined);
  };
  const command = "true";
  await together({
    "type": () => fails({}, /^unsupported task type: no\.such$/, "no.such"),
    "no command": () => fails({}, /^bad payload: payload\.command: /),
    "empty command": () => fails({ command: "" }, /^bad payload: payload\.command: /),
    "command is no text": () => fails({ command: ["ls"] }, /^bad payload: payload\.command: /),
    "NUL": () => fails({ command: "echo \0" }, /^bad payload: payload\.command: .*NUL/),
    "shell": () => fails({ command, shell: "/no/shell" }, /^payload\.shell: .*\/no\/shell/),
    "shell is no program": () => fails({ command, shell: "/etc/passwd" }, /^payload\.shell: /),
    "folder": () =>
      fails({ command, working_dir: "/no/folder" }, /^payload\.working_dir: .*\/no\/folder/),
    "folder is a file": () =>
      fails({ command, working_dir: "/etc/passwd" }, /^payload\.working_dir: /),
    "environment": () =>
      fails({ command, environment: "A=1" }, /^bad payload: payload\.environment: /),
    "name": () =>
      fails({ command, environment: { "A=B": "" } }, /^bad payload: payload\.environment/),
    "value": () =>
      fails({ command, environment: { A: {} } }, /^bad payload: payload\.environment\.A: /),
    "timeout": () =>
      fails({ command, timeout: "soon" }, /^bad payload: payload\.timeout: .*"soon"/),
    "timeout_seconds": () =>
      fails({ command, timeout_seconds: -1 }, /^bad payload: payload\.timeout_seconds: /),
    "two fields": () =>
      fails({ command: 1, working_dir: 2 }, /payload\.command: .*; payload\.working_dir: /),
  });
  assert.deepEqual(cp.violations, []);
});

Deno.test("no secret of the agent gets into its log or into a task", async () => {
  await using fleet = await Fleet.start({ log_level: "debug" });
  const { controlPlane: cp, agentToken } = fleet;
  const enrollmentToken = "a-secret-enrollment-token";
  cp.fault({ path: "/heartbeat", times: 1, status: 401, body: { message: `bad ${agentToken}` } });
  const env = { ENROLLMENT_TOKEN: enrollmentToken, AGENT_TOKEN: agentToken };
  await using agent = await fleet.agent(env);

  const task = await fleet.ended(fleet.shell("env"));
  assert.match(cp.streamText(task.id, "stdout"), /^PAGER=cat$/m);
  for (const secret of [enrollmentToken, agentToken]) {
    assert(!JSON.stringify(task).includes(secret), "the task has seen a secret");
  }
  assert.doesNotMatch(
    cp.streamText(task.id, "stdout"),
    /^(NODERAX_CONFIG_FILE|ENROLLMENT_TOKEN|AGENT_TOKEN)=/m,
  );
  await agent.waitForLog("control plane refuses this node's credentials");
  await agent.stop();
  const log = JSON.stringify(agent.events) + agent.otherOutput.join("\n");
  for (const secret of [enrollmentToken, agentToken]) {
    assert(!log.includes(secret), "the log has a secret");
  }
  assert.match(log, /bad \[redacted\]/);
});
