import assert from "node:assert/strict";
import { join } from "@std/path";
import type { ControlPlane, FaultSpec } from "../scripts/dev/control_plane.ts";
import { parseRecord, type TaskRecord } from "../src/tasks/task_record.ts";
import { Fleet } from "./_agent.ts";
import { eventually, killIfThere, livingWith, textOf } from "./_processes.ts";
import { together } from "./_together.ts";

const RESTARTED = "the agent was restarted while the task ran";
const QUICK = { task_poll_interval: "500ms" };

/** A claim of an agent that is gone may still be given a task, which comes again a lease later. */
async function claimsAreOver(cp: ControlPlane): Promise<void> {
  await eventually("the end of its claims", () => Promise.resolve(cp.heldClaims === 0));
}

/** Holds a call of a task's life with a fault, kills the agent there, and starts the next one. */
async function killAt(
  { fault, leaseMs = 60_000, command, until, expected }: {
    fault: FaultSpec;
    /** How long the claims of the agent that is killed hold. */
    leaseMs?: number;
    command: (file: string) => string;
    /** What the agent must have written down before it is killed. */
    until?: { name: string; holds: string };
    expected: { status: string; error?: string; stdout: string };
  },
): Promise<void> {
  await using fleet = await Fleet.start(QUICK, { leaseMs });
  const { controlPlane: cp } = fleet;
  const held = cp.fault(fault);
  const file = join(fleet.folder, "runs");
  const id = fleet.shell(command(file));
  {
    await using agent = await fleet.agent();
    await cp.waitFor(() => held.hits > 0, { what: "the call to be held" });
    if (until) {
      const path = join(fleet.tasksFolder, id + until.name);
      await eventually(path, async () => (await textOf(path)).includes(until.holds));
    }
    await agent.kill();
  }
  held.remove();
  await claimsAreOver(cp);
  cp.options.leaseMs = 60_000;
  await using _next = await fleet.agent();
  const { status, completion } = await fleet.ended(id);
  assert.equal(status, expected.status, cp.describe(id));
  assert.equal(completion?.error, expected.error);
  assert.equal(cp.streamText(id, "stdout"), expected.stdout);
  assert.equal(completion?.output ?? "", expected.stdout);
  assert.equal(await textOf(file), "run\n");
  assert.deepEqual(await livingWith(id), []);
  await fleet.closed(id);
  assert.deepEqual(cp.violations, []);
}

Deno.test("a task outlives its agent, wherever that is killed", () => {
  const lines = Array.from({ length: 50 }, (_, i) => i + 1).join("\n");
  const short = (file: string) => `echo run >>${file}; seq 50`;
  const long = (file: string) =>
    `echo run >>${file}; for i in $(seq 50); do echo $i; sleep 0.02; done; sleep 1000`;
  const succeeds = { status: "success", stdout: lines };
  const restarted = { status: "failed", error: RESTARTED, stdout: lines };
  const printed = { name: ".stdout", holds: "\n50\n" };
  const outcomeKnown = { name: ".json", holds: '"outcome"' };
  const at = (fault: FaultSpec, leaseMs?: number) => () =>
    killAt({ fault, ...(leaseMs ? { leaseMs } : {}), command: short, expected: succeeds });
  // What is not begun by then comes again to the next agent, which has it already.
  const shortMs = 1_000;
  return together({
    "before it is accepted": at({ path: "/accepted", hang: true }, shortMs),
    "before it is started": at({ path: "/started", hang: true }, shortMs),
    "when it is started, but the agent has not heard it": at({ path: "/started", hang: "after" }),
    "while it is reported": at({ path: "/completed", hang: true }),
    "when its end is known, but the agent has not heard it": at({
      path: "/completed",
      hang: "after",
    }),
    "while it runs, with nothing delivered": () =>
      killAt({
        fault: { path: "/logs", status: 503 },
        command: long,
        until: printed,
        expected: restarted,
      }),
    "while it runs, with a part of its lines delivered": () =>
      killAt({
        fault: { path: "/logs", skip: 2, status: 503 },
        command: long,
        until: printed,
        expected: restarted,
      }),
    "after its end, with lines undelivered": () =>
      killAt({
        fault: { path: "/logs", hang: true },
        command: short,
        until: outcomeKnown,
        expected: succeeds,
      }),
  });
});

Deno.test("a promise of long ago is reported, if not by this start then by the next", async () => {
  await using fleet = await Fleet.start({ ...QUICK, shutdown_timeout: "100ms" });
  const { controlPlane: cp } = fleet;
  const accepting = cp.fault({ path: "/accepted", hang: true });
  const file = join(fleet.folder, "runs");
  const id = fleet.shell(`echo run >>${file}`);
  const record = join(fleet.tasksFolder, `${id}.json`);
  {
    await using _agent = await fleet.agent();
    await cp.waitFor(() => accepting.hits > 0, { what: "the task to be promised" });
  }
  accepting.remove();
  const { claimed, ...promised } = parseRecord(await Deno.readTextFile(record));
  await Deno.writeTextFile(
    record,
    JSON.stringify({
      ...promised,
      claimed: { ...claimed, ms: (claimed?.ms ?? NaN) - 120_000 },
      // As it looks after the clock has been set back.
      claimedAt: new Date(Date.now() + 60 * 60_000).toISOString(),
    }),
  );

  const away = cp.fault({ path: `/${id}/`, status: 503 });
  {
    await using agent = await fleet.agent();
    await cp.waitFor(() => away.hits > 0, { what: "a report" });
    assert.equal((await agent.stop()).code, 0);
  }
  away.remove();
  await using _next = await fleet.agent();
  const { completion } = await fleet.ended(id);
  assert.equal(completion?.error, "the agent was restarted before the task ran");
  assert.equal(await textOf(file), "");
  await fleet.closed(id);
});

Deno.test("a task that is begun again finds no file of the output that it had before", async () => {
  await using fleet = await Fleet.start(QUICK);
  const { controlPlane: cp } = fleet;
  const accepting = cp.fault({ path: "/accepted", hang: true });
  const id = fleet.shell(`ls ${fleet.tasksFolder}`);
  {
    await using agent = await fleet.agent();
    await cp.waitFor(() => accepting.hits > 0, { what: "the task to be promised" });
    await agent.kill();
  }
  accepting.remove();
  await Deno.writeTextFile(join(fleet.tasksFolder, `${id}.stderr`), "earlier\n", { mode: 0o600 });
  await using _next = await fleet.agent();
  const { status, completion } = await fleet.ended(id);
  assert.equal(status, "success", cp.describe(id));
  const output = completion?.output ?? "";
  assert(output.includes(`${id}.json`) && !output.includes(`${id}.stderr`), output);
});

Deno.test("a promise holds whatever the clock says, but not over a boot", () => {
  const promise = async (change: (record: TaskRecord) => unknown, expected: string) => {
    await using fleet = await Fleet.start(QUICK);
    const { controlPlane: cp } = fleet;
    const accepting = cp.fault({ path: "/accepted", hang: true });
    const id = fleet.shell("true");
    {
      await using _agent = await fleet.agent();
      await cp.waitFor(() => accepting.hits > 0, { what: "the task to be promised" });
    }
    accepting.remove();
    const path = join(fleet.tasksFolder, `${id}.json`);
    const record = parseRecord(await Deno.readTextFile(path));
    await Deno.writeTextFile(path, JSON.stringify({ ...record, ...Object(change(record)) }));
    await using _next = await fleet.agent();
    assert.equal((await fleet.ended(id)).status, expected);
  };
  const at = (hours: number) => new Date(Date.now() + hours * 60 * 60_000).toISOString();
  return together({
    "a clock that was two days behind": () => promise(() => ({ claimedAt: at(-48) }), "success"),
    "another boot": () =>
      promise(({ claimed }) => ({ claimed: { ...claimed, bootId: "another" } }), "failed"),
    "a record of an earlier version": () => promise(() => ({ claimed: undefined }), "failed"),
  });
});

Deno.test("a task that comes again days later by the clock is not run again", async () => {
  await using fleet = await Fleet.start(QUICK);
  const { controlPlane: cp } = fleet;
  const file = join(fleet.folder, "runs");
  const payload = { command: `echo run >>${file}` };
  const id = fleet.shell(payload.command);
  {
    await using agent = await fleet.agent();
    await fleet.ended(id);
    await fleet.closed(id);
    assert.equal((await agent.stop()).code, 0);
  }
  const ended = join(fleet.tasksFolder, "ended.jsonl");
  const jumped = Date.now() - 48 * 60 * 60_000;
  const text = await Deno.readTextFile(ended);
  await Deno.writeTextFile(ended, text.replace(/"atMs":\d+/, `"atMs":${jumped}`));
  // A control plane that knows nothing of its end any more.
  const task = { id, type: "shell.exec", payload };
  const claimed = { task, outputTruncated: false, rootAccess: null };
  const stored = { id, taskId: id, status: "running", cancelRequested: false };
  cp.fault({ path: "/tasks/claim", times: 1, status: 200, body: claimed });
  const again = cp.fault({ path: `/${id}/completed`, status: 200, body: stored });
  cp.fault({ path: `/${id}/`, status: 200, body: stored });
  await using agent = await fleet.agent();
  await cp.waitFor(() => again.hits > 0, { what: "its end to be reported again" });
  assert.equal(await textOf(file), "run\n");
  await agent.waitForLog("task was received again after its end");
});

Deno.test("orphans of a killed agent are ended, however they have detached themselves", async () => {
  await using fleet = await Fleet.start(QUICK);
  const { controlPlane: cp } = fleet;
  const ids = [
    "echo ready; sleep 1000",
    `trap "" TERM; echo ready; while :; do sleep 0.2; done`,
    "setsid sleep 1000 & echo ready; wait",
    "(setsid sh -c '(sleep 1000 &)' &); echo ready; sleep 1000",
  ].map((command) => fleet.shell(command));
  {
    await using agent = await fleet.agent();
    for (const id of ids) await cp.waitForTask(id, ({ logs }) => logs.length > 0);
    await agent.kill();
  }
  for (const id of ids) assert((await livingWith(id)).length > 0, "an orphan is there");
  await using _next = await fleet.agent();
  for (const id of ids) {
    assert.equal((await fleet.ended(id)).completion?.error, RESTARTED);
    assert.deepEqual(await livingWith(id), []);
  }
  assert.deepEqual(cp.violations, []);
});

Deno.test("an innocent process that has got a task's process id is left alone", async () => {
  await using fleet = await Fleet.start(QUICK);
  const { controlPlane: cp } = fleet;
  const id = fleet.shell("echo ready; sleep 1000");
  const innocent = new Deno.Command("sleep", { args: ["1000"], detached: true }).spawn();
  try {
    {
      await using agent = await fleet.agent();
      await cp.waitForTask(id, ({ logs }) => logs.length > 0);
      await agent.kill();
    }
    for (const pid of await livingWith(id)) killIfThere(pid);
    const file = join(fleet.tasksFolder, `${id}.json`);
    const { process, ...record } = parseRecord(await Deno.readTextFile(file));
    const reused = { ...record, process: { ...process, pid: innocent.pid } };
    await Deno.writeTextFile(file, JSON.stringify(reused));
    await using _next = await fleet.agent();
    assert.equal((await fleet.ended(id)).completion?.error, RESTARTED);
    assert((await livingWith("PATH=")).includes(innocent.pid), "the innocent lives");
  } finally {
    innocent.kill();
    await innocent.status;
  }
});

Deno.test("a damaged journal file is set aside and named, and its task is reported", async () => {
  await using fleet = await Fleet.start(QUICK);
  const { controlPlane: cp } = fleet;
  const torn = fleet.shell("echo ready; sleep 1000");
  const empty = fleet.shell("echo ready; sleep 1000");
  const whole = fleet.shell("echo ready; sleep 1000");
  {
    await using agent = await fleet.agent();
    for (const id of [torn, empty, whole]) await cp.waitForTask(id, ({ logs }) => logs.length > 0);
    await agent.kill();
  }
  await claimsAreOver(cp);
  const fileOf = (id: string) => join(fleet.tasksFolder, `${id}.json`);
  await Deno.truncate(fileOf(torn), 40);
  await Deno.truncate(fileOf(empty), 0);
  await using agent = await fleet.agent();
  for (const id of [torn, empty]) {
    const setAside = `${fileOf(id)}.corrupt`;
    const { file } = await agent.waitForLog(
      "journal file is damaged and set aside",
      ({ taskId }) => taskId === id,
    );
    assert.equal(file, setAside);
    const { completion } = await fleet.ended(id);
    assert.equal(
      completion?.error,
      `${RESTARTED}, and its journal was damaged (kept as ${setAside})`,
    );
    assert.deepEqual(await livingWith(id), []);
    await Deno.stat(setAside);
  }
  assert.equal((await fleet.ended(whole)).completion?.error, RESTARTED);
  assert.equal((await fleet.ended(fleet.shell("true"))).status, "success");
  assert.deepEqual(cp.violations, []);
});

Deno.test("of a task whose record is damaged no line is told: nobody knows its secrets any more", async () => {
  await using fleet = await Fleet.start(QUICK);
  const { controlPlane: cp } = fleet;
  const away = cp.fault({ path: "/logs", status: 503 });
  const id = fleet.shell('echo "it is $TOKEN"; sleep 1000', {
    environment: { TOKEN: "s3cr3t-value" },
  });
  {
    await using agent = await fleet.agent();
    const printed = async () => (await textOf(join(fleet.tasksFolder, `${id}.stdout`))) !== "";
    await eventually("the line on disk", printed);
    await agent.kill();
  }
  await claimsAreOver(cp);
  away.remove();
  await Deno.truncate(join(fleet.tasksFolder, `${id}.json`), 40);
  await using _next = await fleet.agent();
  const { completion, logs } = await fleet.ended(id);
  assert.equal(completion?.output, undefined);
  assert(logs.some(({ line }) => line.includes("lines that were not delivered yet are left out")));
  assert(!JSON.stringify(logs).includes("s3cr3t"));
});

Deno.test("a second agent on the same state folder is refused", async () => {
  await using fleet = await Fleet.start();
  await using agent = await fleet.agent();
  const second = fleet.spawnAgent();
  assert.equal((await second.ended()).code, 1);
  assert.match(
    second.otherOutput.join("\n"),
    /Another agent is running with the state folder .*: stop it/,
  );
  assert.equal((await fleet.ended(fleet.shell("true"))).status, "success");
  await agent.kill();
  await using _next = await fleet.agent();
});

Deno.test("damage to the index of lines or the memory of ended tasks is named, and a copy is kept", async () => {
  await using fleet = await Fleet.start(QUICK);
  const { controlPlane: cp } = fleet;
  const before = fleet.shell("true");
  const refusing = cp.fault({ path: "/logs", status: 503 });
  const id = fleet.shell("echo first; sleep 0.2; echo second; sleep 1000");
  {
    await using agent = await fleet.agent();
    await fleet.ended(before);
    await fleet.closed(before);
    const left = (name: string) => textOf(join(fleet.tasksFolder, `${id}.${name}`));
    const isNoted = async () =>
      (await left("stdout")).includes("second") && (await left("index")).includes("stdout");
    await eventually("both lines on disk, and noted", isNoted);
    await agent.kill();
  }
  refusing.remove();
  const damage = async (name: string, change: (text: string) => string) => {
    const file = join(fleet.tasksFolder, name);
    await Deno.writeTextFile(file, change(await textOf(file)));
    return `${file}.corrupt`;
  };
  const copies = [
    await damage(`${id}.index`, (text) => text.replace(/^spool .*|stdout .*$/gm, "garbage")),
    await damage("ended.jsonl", (text) => `garbage\n${text}`),
  ];
  await using agent = await fleet.agent();
  for (const copy of copies) {
    await agent.waitForLog("state file is damaged, a copy is kept", ({ file }) => file === copy);
    await Deno.stat(copy);
  }
  const { logs } = await fleet.ended(id);
  assert.deepEqual(fleet.lines(id)[0], "first");
  assert(logs.some(({ line }) => line.includes("state was damaged")));
});

Deno.test("what earlier tasks have left is removed after seven days", async () => {
  await using fleet = await Fleet.start(QUICK);
  const { tasksFolder } = fleet;
  await Deno.mkdir(tasksFolder, { recursive: true, mode: 0o700 });
  const old = new Date(Date.now() - 8 * 86_400_000);
  for (const name of ["old.stdout", "old.index", "old.json.corrupt", "new.stdout"]) {
    const file = join(tasksFolder, name);
    await Deno.writeTextFile(file, "x");
    if (name.startsWith("old.")) await Deno.utime(file, old, old);
  }
  await using agent = await fleet.agent();
  await agent.waitForLog("old files of tasks were removed");
  const names = await Array.fromAsync(Deno.readDir(tasksFolder), ({ name }) => name);
  assert(names.includes("new.stdout"));
  assert.deepEqual(names.filter((name) => name.startsWith("old.")), []);
});
