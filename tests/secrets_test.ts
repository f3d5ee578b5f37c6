import assert from "node:assert/strict";
import { join } from "@std/path";
import { Fleet } from "./_agent.ts";
import { eventually, textOf } from "./_processes.ts";
import { together } from "./_together.ts";

const PASSWORD = "pä55-日本-wörd";
const KEY_LINES = ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkq", "ab==", "-----END KEY-----"];
const LONG_TOKEN = "0123456789abcdef".repeat(400);
const ENVIRONMENT = {
  DB_PASSWORD: PASSWORD,
  tlsPrivateKey: KEY_LINES.join("\n"),
  LONG_TOKEN,
  KEYBOARD: "qwertz-layout",
  VERIFY_AUTH: true,
};
const ENROLLMENT_TOKEN = "a-token-of-some-enrollment";
const SECRETS = [
  PASSWORD,
  LONG_TOKEN,
  ENROLLMENT_TOKEN,
  ...KEY_LINES.filter((line) => line.length >= 8),
];

Deno.test("operators see no secret of a task's environment, nor the agent's tokens", async () => {
  await using fleet = await Fleet.start({ log_level: "debug" });
  const { controlPlane: cp, agentToken, configFile, folder } = fleet;
  await using agent = await fleet.agent({ ENROLLMENT_TOKEN });

  /** Runs a command; what operators are told of it must be this. */
  const shows = async (
    command: string,
    expected: { stdout?: string; stderr?: string; output?: string; error?: string },
    payload: Record<string, unknown> = {},
  ) => {
    const id = fleet.shell(command, { environment: ENVIRONMENT, ...payload });
    const { logs, completion } = await fleet.ended(id);
    const told = JSON.stringify({ logs, completion });
    for (const secret of [...SECRETS, agentToken]) assert(!told.includes(secret), told);
    for (const stream of ["stdout", "stderr"] as const) {
      if (stream in expected) assert.equal(cp.streamText(id, stream), expected[stream]);
    }
    const { output, error } = completion ?? {};
    if ("output" in expected) assert.equal(output, expected.output);
    assert.equal(error, expected.error);
  };
  /** Prints a secret byte by byte, with time between for each to be read by itself. */
  const drip = `printf '%s' "$DB_PASSWORD" | od -An -v -to1 -w1 | tr -d ' ' |
    while read -r byte; do printf "\\\\$byte"; sleep 0.02; done`;

  await together({
    "in a line": () => shows('echo "a $DB_PASSWORD b"', { stdout: "a *** b", output: "a *** b" }),
    "byte by byte": () => shows(`${drip}; echo .`, { stdout: "***.", output: "***." }),
    "byte by byte on stderr": () =>
      shows(`(${drip}; echo .) >&2`, { stderr: "***.", output: "[stderr] ***." }),
    "without an end of line": () => shows('printf %s "$DB_PASSWORD"', { stdout: "***" }),
    "begun, but another": () =>
      shows('printf "%s" "${DB_PASSWORD%?}"; sleep 0.2; echo x', {
        stdout: `${PASSWORD.slice(0, -1)}x`,
      }),
    "where a long line is cut": () =>
      shows('printf "%04995d%s\\n" 0 "$DB_PASSWORD"', { stdout: "0".repeat(4_995) + "***" }),
    "longer than a line may be": () => shows('echo "<$LONG_TOKEN>"', { stdout: "<***>" }),
    "of several lines": () => shows('echo "$tlsPrivateKey"; echo end', { stdout: "***\nend" }),
    "line by line": () =>
      shows('echo "$tlsPrivateKey" | while read -r line; do echo "> $line"; done', {
        stdout: "> ***\n> ***\n> ab==\n> ***",
      }),
    "traced by the shell": () => shows('set -x; : "$DB_PASSWORD"', { stderr: "+ : ***" }),
    "in the error of a shell": () =>
      shows("true", { error: "payload.shell: there is no program /no/*** on this machine" }, {
        shell: `/no/${PASSWORD}`,
      }),
    "in the error of a folder": () =>
      shows("true", { error: "payload.working_dir: there is no folder /no/***" }, {
        working_dir: `/no/${PASSWORD}`,
      }),
    "in the reason of a cancellation": async () => {
      const id = fleet.shell("echo up; sleep 1000", { environment: ENVIRONMENT });
      await cp.waitFor(() => cp.streamText(id, "stdout") === "up", { what: "the task to run" });
      cp.cancelTask(id, `it has shown ${PASSWORD}`);
      const { completion } = await fleet.ended(id);
      assert.equal(completion?.error, "cancelled: it has shown ***");
      assert.match(cp.streamText(id, "system"), /^\[cancelled: it has shown \*\*\*\]$/m);
    },
    "the agent's own": async () => {
      const stdout = (await textOf(configFile)).replace(agentToken, "***");
      await shows(`cat ${configFile}`, { stdout }, { environment: {} });
    },
    "the agent's enrollment": () => shows(`echo ${ENROLLMENT_TOKEN}`, { stdout: "***" }),
    "what is none": () =>
      shows('echo "$KEYBOARD $VERIFY_AUTH"; echo $PWD', {
        stdout: `qwertz-layout true\n${folder}`,
      }, { working_dir: folder }),
  });
  await agent.stop();
  const log = JSON.stringify(agent.events) + agent.otherOutput.join("\n");
  for (const secret of [...SECRETS, agentToken]) assert(!log.includes(secret), "the log has it");
  assert.deepEqual(cp.violations, []);
});

Deno.test("what is kept on disk for the next agent is masked before it is delivered, and for the agent alone", async () => {
  await using fleet = await Fleet.start();
  const { controlPlane: cp, tasksFolder } = fleet;
  const held = cp.fault({ path: "/logs", hang: true });
  const id = fleet.shell('echo "it is $DB_PASSWORD"; exec sleep 1000', {
    environment: ENVIRONMENT,
  });
  {
    await using agent = await fleet.agent();
    const spool = join(tasksFolder, `${id}.stdout`);
    await eventually("the line on disk", async () => (await textOf(spool)).includes("it is "));
    await agent.kill();
    // As it was printed: a file as private as the record, which has the payload as it was claimed.
    for await (const { name } of Deno.readDir(tasksFolder)) {
      const { mode } = await Deno.lstat(join(tasksFolder, name));
      assert.equal((mode ?? 0) & 0o777, 0o600, name);
    }
  }
  held.remove();
  await using _next = await fleet.agent();
  const { completion } = await fleet.ended(id);
  assert.equal(completion?.output, "it is ***");
  assert.equal(cp.streamText(id, "stdout"), "it is ***");
  assert(!JSON.stringify(cp.requests).includes(PASSWORD));
  const kept = () => Array.fromAsync(Deno.readDir(tasksFolder), ({ name }) => name);
  await eventually("the end of it on disk", async () => !(await kept()).includes(`${id}.stdout`));
});
