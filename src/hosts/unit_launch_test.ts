import assert from "node:assert/strict";
import { EXEC_LAUNCH, LAUNCH, launchText, NOT_LAUNCHED, unitProperties } from "./unit_launch.ts";

/** Runs a launch text as a unit would, in a process group and with an environment of its own. */
async function launched(
  argv: string[],
  env: Record<string, string> = {},
  own: Record<string, string> = {},
): Promise<string> {
  const args = [...LAUNCH];
  const options = { args, env: own, stdin: "piped", stdout: "piped", stderr: "piped" } as const;
  const child = new Deno.Command("setsid", options).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(launchText(argv, env)));
  await writer.close();
  const { stdout, stderr } = await child.output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

Deno.test("arguments and variables arrive as they are, whatever is in them", async () => {
  const text = `it's "$HOME" \`id\` \\ 100% $$\nü\n`;
  assert.equal(await launched(["printf", "%s|", text, "", "-n"]), `${text}||-n|`);
  assert.equal(await launched(["sh", "-c", 'printf %s "$TEXT"'], { TEXT: text }), text);
});

Deno.test("what a command reads is nothing, and not what it was launched with", async () => {
  assert.equal(await launched(["cat"]), "");
});

Deno.test("nothing tells a command that it is a service of systemd's", async () => {
  const names = ["INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID"];
  const own = Object.fromEntries(names.map((name) => [name, "the unit's"]));
  assert.equal(await launched(["env"], {}, own).then((env) => env.match(/the unit's/)), null);
  assert.match(await launched(["env"], { INVOCATION_ID: "a task's" }, own), /=a task's/);
});

Deno.test("no shell is asked to set what it cannot", async () => {
  assert.equal(await launched(["echo", "begun"], { "spring.url": "x", "a b": "y" }), "begun\n");
});

Deno.test("systemd finds nothing to expand or to escape in the program of a unit", () => {
  const [name, { value }] = EXEC_LAUNCH;
  assert.deepEqual([name, value], ["ExecStart", [["/bin/sh", LAUNCH, true]]]);
  assert.doesNotMatch(LAUNCH.join(" "), /[$%;\\]/);
});

Deno.test("a unit has the bounds that are given, and no others", () => {
  const names = (limits?: Parameters<typeof unitProperties>[0]["limits"]) =>
    unitProperties({ description: "a task", user: "root", ...(limits ? { limits } : {}) })
      .map(([name]) => name);
  const bounds = ["TasksMax", "MemoryMax", "CPUWeight"];
  assert.deepEqual(names().filter((name) => bounds.includes(name)), []);
  assert.ok(names({ pids: 10 }).includes("TasksMax"));
  assert.deepEqual(
    names({ memoryBytes: 1, cpuWeight: 1 }).slice(-2),
    ["MemoryMax", "CPUWeight"],
  );
});

Deno.test("a launch that was told a part runs nothing", async () => {
  const text = launchText(["echo", "begun"], {});
  for (const length of [0, text.indexOf("set --"), text.indexOf("begun"), text.length - 2]) {
    const args = [...LAUNCH];
    const options = { args, stdin: "piped", stdout: "piped", stderr: "piped" } as const;
    const child = new Deno.Command("setsid", options).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text.slice(0, length)));
    await writer.close();
    const { signal, stdout } = await child.output();
    assert.deepEqual([signal, stdout.length], [NOT_LAUNCHED, 0]);
  }
});
