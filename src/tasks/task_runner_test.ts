import assert from "node:assert/strict";
import { delay } from "@std/async";
import { AgentApi } from "../control_plane/agent_api.ts";
import { HttpTransport } from "../control_plane/http.ts";
import type { TaskControl } from "../control_plane/schemas.ts";
import { childHost } from "../hosts/child_host.ts";
import type { Host, Program } from "../hosts/host.ts";
import type { ProcessGroup } from "../hosts/process_table.ts";
import { LogMemory } from "../logs/spool.ts";
import { bootTime } from "../system/boot_time.ts";
import { BusClosedError } from "../system/bus_message.ts";
import { Logger } from "../system/logger.ts";
import { Mutex } from "../system/mutex.ts";
import { contextOf } from "./_test_task_context.ts";
import { TaskJournal, type Unfinished } from "./journal.ts";
import { shellExec } from "./shell_exec.ts";
import { TaskManager } from "./task_manager.ts";
import type { TaskRecord } from "./task_record.ts";
import { TaskRunner, type TaskRunnerDeps } from "./task_runner.ts";
import type { TaskContext, TaskType } from "./task_type.ts";

/** A control plane that says yes to all, and notes what it is told. */
class Willing extends AgentApi {
  constructor(transport: HttpTransport, readonly told: string[]) {
    super(transport, { nodeId: "n", agentToken: "t" }, () => 1_000);
  }

  override accepted = () => this.#note("accepted");
  override started: AgentApi["started"] = () => this.#note("started");
  override completed: AgentApi["completed"] = () => this.#note("completed");
  override log = () => Promise.resolve();
  override control = (taskId: string, signal?: AbortSignal): Promise<TaskControl> =>
    delay(60_000, signal ? { signal } : {}).then(() => ({
      taskId,
      status: "running",
      cancelRequested: false,
    }));

  #note(what: string): Promise<void> {
    this.told.push(what);
    return Promise.resolve();
  }
}

/** Has each program as a child, and says that it is in a unit. */
const IN_UNIT: Host = {
  ...childHost,
  async start(command) {
    const program = await childHost.start(command);
    const group = { ...program.group, unit: "noderax-task-a.service" };
    return { ...program, group, leave: () => {} };
  },
  release: () => Promise.resolve(),
};

Deno.test("what a loss of power must not undo is on disk before the next step, however long that takes", async () => {
  const folder = await Deno.makeTempDir({ prefix: "runner_" });
  const logger = new Logger({ write: () => {} });
  const { journal } = await TaskJournal.open(folder, logger);
  const steps: string[] = [];
  const stage = journal.stage.bind(journal);
  journal.stage = async (record) => {
    const staged = await stage(record);
    const what = record.outcome ? "outcome" : record.process ? "process" : "promise";
    return {
      ...staged,
      async sync() {
        // All that does not wait for it comes first.
        await delay(50);
        await staged.sync();
        steps.push(what);
      },
    };
  };
  using transport = new HttpTransport("http://127.0.0.1:1");
  const runner = new TaskRunner({
    api: new Willing(transport, steps),
    journal,
    host: {
      ...childHost,
      async start(command) {
        const program = await childHost.start(command);
        const open = () => {
          steps.push("runs");
          return program.open();
        };
        return { ...program, open };
      },
    },
    types: new Map([["shell.exec", shellExec]]),
    secrets: [],
    privileges: contextOf().privileges,
    defaultLimitMs: () => 60_000,
    maxTasks: () => 0,
    logMemory: new LogMemory(() => 1 << 20),
    logger,
  }, {
    version: 1,
    task: { id: "a", type: "shell.exec", payload: { command: "true" } },
    claimedAt: new Date().toISOString(),
  });
  await runner.run();
  const order = ["promise", "accepted", "started", "process", "runs", "outcome", "completed"];
  assert.deepEqual(steps, order);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a task whose work nobody can take up is not handed on, wherever its program is", async () => {
  const folder = await Deno.makeTempDir({ prefix: "runner_" });
  const logger = new Logger({ write: () => {} });
  const { journal } = await TaskJournal.open(folder, logger);
  using transport = new HttpTransport("http://127.0.0.1:1");
  const leaves: boolean[] = [];
  for (const mayBeTakenUp of [false, true]) {
    const running = Promise.withResolvers<void>();
    const over = Promise.withResolvers<void>();
    const stop = new AbortController();
    const runner = new TaskRunner({
      api: new Willing(transport, []),
      ...{ journal, host: IN_UNIT, logger, secrets: [] },
      types: new Map([["own", {
        mayBeTakenUp,
        prepare: () => async ({ start, signal }) => {
          const program = await start({
            argv: ["sleep", "60"],
            signal: AbortSignal.any([signal, stop.signal]),
          });
          running.resolve();
          for await (const _ of program.output);
          await program.ended;
          over.resolve();
          return { status: "failed" };
        },
      }]]),
      privileges: contextOf().privileges,
      defaultLimitMs: () => 60_000,
      maxTasks: () => 0,
      logMemory: new LogMemory(() => 1 << 20),
    }, {
      version: 1,
      task: { id: "a", type: "own", payload: {} },
      claimedAt: new Date().toISOString(),
    });
    const run = runner.run();
    await running.promise;
    leaves.push(runner.leave());
    stop.abort();
    await Promise.all([run, over.promise]);
  }
  // Whether its work has to be ended here.
  assert.deepEqual(leaves, [true, false]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("what is left to the next agent is taken for nobody's no more, though it is not at work here", async () => {
  const folder = await Deno.makeTempDir({ prefix: "manager_" });
  const logger = new Logger({ write: () => {} });
  const { journal } = await TaskJournal.open(folder, logger);
  using transport = new HttpTransport("http://127.0.0.1:1");
  const api = new Willing(transport, []);
  const started = Promise.withResolvers<void>();
  api.started = () => Promise.resolve(started.resolve());
  const manager = new TaskManager({
    api,
    journal,
    host: IN_UNIT,
    types: new Map([["shell.exec", shellExec]]),
    secrets: [],
    privileges: contextOf().privileges,
    defaultLimitMs: () => 60_000,
    maxTasks: () => 0,
    logMemory: new LogMemory(() => 1 << 20),
    logger,
  });
  assert.equal(manager.has("a"), false);
  manager.take({ id: "a", type: "shell.exec", payload: { command: "sleep 0.2" } });
  await started.promise;
  assert.equal(manager.has("a"), true);
  await manager.leaveAll(10_000);
  await manager.idle();
  assert.equal(manager.count, 0);
  assert.equal(manager.has("a"), true, "a sweep would take what it prints, and its unit");
  await Deno.remove(folder, { recursive: true });
});

/** A journal in a folder of its own, and what every task run takes that no test looks at. */
async function makeDeps(): Promise<
  & Omit<TaskRunnerDeps, "api" | "host" | "types">
  & { folder: string }
  & AsyncDisposable
> {
  const folder = await Deno.makeTempDir({ prefix: "manager_" });
  const logger = new Logger({ write: () => {} });
  const { journal } = await TaskJournal.open(folder, logger);
  return {
    ...{ folder, journal, logger, secrets: [], privileges: contextOf().privileges },
    defaultLimitMs: () => 60_000,
    maxTasks: () => 0,
    logMemory: new LogMemory(() => 1 << 20),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

/** What an agent that dies at this moment leaves to the next one, as it finds it `ms` later. */
async function leftFor(
  { folder, logger }: { folder: string; logger: Logger },
  ms: number,
): Promise<{ journal: TaskJournal; unfinished: Unfinished }> {
  const left = await TaskJournal.open(folder, logger);
  for (const { claimed } of left.unfinished.records) if (claimed) claimed.ms -= ms;
  return left;
}

Deno.test("what is left while its start is on its way begins with the next agent, and not here", async () => {
  using transport = new HttpTransport("http://127.0.0.1:1");
  const types = new Map([["gated", shellExec], ["own", { ...shellExec, isGated: false }]]);
  for (const type of types.keys()) {
    await using deps = await makeDeps();
    const told: string[] = [];
    const api = new Willing(transport, told);
    const starting = Promise.withResolvers<void>();
    const answered = Promise.withResolvers<void>();
    api.started = () => {
      starting.resolve();
      return answered.promise;
    };
    const manager = new TaskManager({ ...deps, api, host: IN_UNIT, types });
    const ran = `${deps.folder}/ran`;
    manager.take({ id: "a", type, payload: { command: `echo x >${ran}` } });
    await starting.promise;
    const leaving = manager.leaveAll(10_000);
    answered.resolve();
    await Promise.all([leaving, manager.idle()]);
    assert.deepEqual(told, ["accepted"], type);
    await assert.rejects(Deno.stat(ran), Deno.errors.NotFound);
    const { unfinished: { records } } = await leftFor(deps, 0);
    assert.deepEqual(records.map(({ task, process }) => [task.id, process]), [["a", undefined]]);
  }
});

Deno.test("what has only waited for its turn when its agent was killed begins anew, however long it has", async () => {
  using transport = new HttpTransport("http://127.0.0.1:1");
  const stale = "the agent was restarted before the task ran";
  for (const [mayBeginAnew, expected] of [[true, "success"], [false, stale]] as const) {
    await using deps = await makeDeps();
    const waits = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    let turn = goOn.promise;
    const own: TaskType = {
      mayBeginAnew,
      prepare: () => async () => {
        waits.resolve();
        await turn;
        return { status: "success" };
      },
    };
    const api = new Willing(transport, []);
    const ends: (string | undefined)[] = [];
    api.completed = (_, { status, error }) => Promise.resolve(void ends.push(error ?? status));
    const all = { api, host: IN_UNIT, types: new Map([["own", own]]) };
    const killed = new TaskManager({ ...deps, ...all });
    killed.take({ id: "a", type: "own", payload: {} });
    await waits.promise;
    const { journal, unfinished } = await leftFor(deps, 70_000);
    turn = Promise.resolve();
    const next = new TaskManager({ ...deps, ...all, journal });
    next.recover(unfinished);
    await next.idle();
    const { records } = (await TaskJournal.open(deps.folder, deps.logger)).unfinished;
    assert.deepEqual([records, ends], [[], [expected]]);
    goOn.resolve();
    await killed.idle();
  }
});

Deno.test("of a promise of long ago nothing stays that was got ready for it, though nobody can be told", async () => {
  using transport = new HttpTransport("http://127.0.0.1:1");
  await using deps = await makeDeps();
  const record = { version: 1 as const, task: { id: "a", type: "own", payload: {} } };
  await deps.journal.write({ ...record, claimedAt: new Date().toISOString() });
  await Deno.writeTextFile(`${deps.journal.spoolPrefix("a")}.system`, "got ready\n");
  const { journal, unfinished } = await leftFor(deps, 0);
  const story: string[] = [];
  const api = new Willing(transport, story);
  const starting = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  api.started = () => {
    starting.resolve();
    return answered.promise;
  };
  const host: Host = {
    ...IN_UNIT,
    release: (id, group) => {
      story.push(`release ${id} ${group}`);
      return Promise.reject(new BusClosedError("not answered"));
    },
  };
  const manager = new TaskManager({ ...deps, api, host, types: new Map(), journal });
  manager.recover(unfinished);
  await starting.promise;
  assert.deepEqual(story, ["release a undefined"]);
  answered.resolve();
  await manager.idle();
  assert.deepEqual(story, ["release a undefined", "completed"]);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(deps.folder), ({ name }) => name), []);
});

/** A runner of the task `a`, for what it is given; and its journal, for as long as `test` takes. */
async function withRunner(
  own: Pick<TaskRunnerDeps, "host" | "types">,
  record: Pick<TaskRecord, "process" | "started"> & Pick<TaskRecord["task"], "type" | "payload">,
  test: (runner: TaskRunner, journal: TaskJournal) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "runner_" });
  const logger = new Logger({ write: () => {} });
  const { journal } = await TaskJournal.open(folder, logger);
  using transport = new HttpTransport("http://127.0.0.1:1");
  const { type, payload, ...more } = record;
  const runner = new TaskRunner({
    ...own,
    ...{ api: new Willing(transport, []), journal, logger, secrets: [] },
    privileges: contextOf().privileges,
    defaultLimitMs: () => 60_000,
    maxTasks: () => 0,
    logMemory: new LogMemory(() => 1 << 20),
  }, {
    ...{ version: 1, task: { id: "a", type, payload }, claimedAt: new Date().toISOString() },
    ...more,
  });
  await test(runner, journal);
  await Deno.remove(folder, { recursive: true });
}

Deno.test("what has not begun when its agent leaves begins with the next one", async () => {
  let begun = 0;
  const taking = Promise.withResolvers<void>();
  const left = Promise.withResolvers<"not begun">();
  const takeUp = () => {
    taking.resolve();
    return left.promise;
  };
  const prepare = () => () => Promise.resolve({ status: "failed" as const, exitCode: ++begun });
  const process = { pid: 1, startTicks: "", bootId: "", unit: "noderax-task-a.service" };
  await withRunner(
    { host: { ...childHost, takeUp }, types: new Map([["own", { mayBeTakenUp: true, prepare }]]) },
    { type: "own", payload: {}, process },
    async (runner) => {
      const run = runner.run();
      await taking.promise;
      assert.equal(runner.leave(), false);
      left.resolve("not begun");
      await run;
      assert.equal(begun, 0);
    },
  );
});

Deno.test("what ended within its limit while there was no agent ended within its limit", async () => {
  const process = { pid: 1, startTicks: "", bootId: "", unit: "noderax-task-a.service" };
  const started = { ...bootTime(), ms: bootTime().ms - 120_000 };
  for (const hadEnded of [true, false]) {
    const takeUp: Host["takeUp"] = async (command) => {
      const argv = hadEnded ? ["true"] : ["sleep", "60"];
      const program = await childHost.start({ ...command, argv });
      await program.open();
      if (hadEnded) await program.exited;
      return { ...program, hadEnded };
    };
    const prepare = () => async ({ takenUp, signal }: TaskContext) => {
      for await (const _ of takenUp?.output ?? []);
      await takenUp?.ended;
      // What is left to be looked at takes its time.
      await delay(300, { signal }).catch(() => {});
      return { status: "success" as const };
    };
    await withRunner(
      { host: { ...IN_UNIT, takeUp }, types: new Map([["own", { mayBeTakenUp: true, prepare }]]) },
      { type: "own", payload: {}, process, started },
      async (runner, journal) => {
        await runner.run();
        assert.equal(journal.ended.get("a")?.status, hadEnded ? "success" : "timeout");
      },
    );
  }
});

Deno.test("a program does not outlive work that has failed before its end", async () => {
  const programs: Program[] = [];
  const host: Host = {
    ...childHost,
    async start(command) {
      const program = await childHost.start(command);
      programs.push(program);
      const output = async function* () {
        for await (const chunk of program.output) {
          yield chunk;
          throw new Error("it cannot be read");
        }
      };
      return { ...program, output: output() };
    },
  };
  await withRunner(
    { host, types: new Map([["shell.exec", shellExec]]) },
    { type: "shell.exec", payload: { command: "sleep 20" } },
    async (runner, journal) => {
      await runner.run();
      assert.match(journal.ended.get("a")?.error ?? "", /it cannot be read/);
      assert.equal((await programs[0]?.ended)?.signal, "SIGTERM");
    },
  );
});

Deno.test("what must not run beside a program that an earlier agent has left waits for it, whoever is first", async () => {
  const folder = await Deno.makeTempDir({ prefix: "manager_" });
  const logger = new Logger({ write: () => {} });
  const { journal } = await TaskJournal.open(folder, logger);
  using transport = new HttpTransport("http://127.0.0.1:1");
  const turns = new Mutex();
  const story: string[] = [];
  const goOn = Promise.withResolvers<void>();
  const api = new Willing(transport, []);
  const manager = new TaskManager({
    ...{ api, journal, secrets: [], logger },
    host: {
      ...childHost,
      async takeUp(command) {
        const program = await childHost.start({ ...command, argv: ["true"] });
        // The other one could be at work for long before it is found.
        await goOn.promise;
        await program.open();
        return program;
      },
    },
    types: new Map([["own", {
      mayBeginAnew: true,
      mayBeTakenUp: true,
      keepOthersBack: () => turns.hold(),
      prepare: () => async ({ taskId, takenUp, signal }) => {
        const work = async () => {
          for await (const _ of takenUp?.output ?? []);
          await takenUp?.ended;
          story.push(taskId);
          return { status: "success" as const };
        };
        if (takenUp) return await work();
        return await turns.take(work, signal, () => Promise.resolve(goOn.resolve()));
      },
    }]]),
    privileges: contextOf().privileges,
    defaultLimitMs: () => 60_000,
    maxTasks: () => 0,
    logMemory: new LogMemory(() => 1 << 20),
  });
  const recordOf = (id: string, process?: ProcessGroup): TaskRecord => ({
    ...{ version: 1, task: { id, type: "own", payload: {} }, claimedAt: new Date().toISOString() },
    ...{ claimed: bootTime(), ...process ? { process, started: bootTime() } : {} },
  });
  const process = { pid: 1, startTicks: "", bootId: "", unit: "noderax-task-left.service" };
  manager.recover({ records: [recordOf("anew"), recordOf("left", process)], damaged: [] });
  await manager.idle();
  assert.deepEqual(story, ["left", "anew"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a task that was being ended when its agent died is told of as that by the next one", async () => {
  const folder = await Deno.makeTempDir({ prefix: "manager_" });
  const logger = new Logger({ write: () => {} });
  using transport = new HttpTransport("http://127.0.0.1:1");
  const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let isAsked = () => false;
  const depsOf = (journal: TaskJournal, host: Host): TaskRunnerDeps => ({
    ...{ api: new Willing(transport, []), journal, host, secrets: [], logger },
    types: new Map([["own", {
      mayBeTakenUp: true,
      prepare: () => async ({ start, signal, takenUp }) => {
        const program = takenUp ?? await start({ argv: ["sleep", "60"], signal });
        isAsked = () => signal.aborted;
        begun.resolve();
        for await (const _ of program.output);
        const { exitCode } = await program.ended;
        if (!takenUp) await goOn.promise;
        return { status: "failed", exitCode };
      },
    }]]),
    privileges: contextOf().privileges,
    defaultLimitMs: () => 60_000,
    maxTasks: () => 0,
    logMemory: new LogMemory(() => 1 << 20),
  });
  const { journal } = await TaskJournal.open(folder, logger);
  const noted = Promise.withResolvers<boolean>();
  const noteCause = journal.noteCause.bind(journal);
  journal.noteCause = async (record) => {
    await noteCause(record);
    noted.resolve(isAsked());
  };
  const runner = new TaskRunner(depsOf(journal, IN_UNIT), {
    version: 1,
    task: { id: "a", type: "own", payload: {} },
    claimedAt: new Date().toISOString(),
  });
  const run = runner.run();
  await begun.promise;
  runner.end({ kind: "cancelled", reason: "enough" });
  assert.equal(await noted.promise, false, "it is asked to end before that is written down");
  const left = await TaskJournal.open(folder, logger);

  const goesOn: Host["takeUp"] = async (command) => {
    const program = await childHost.start({ ...command, argv: ["true"] });
    await program.open();
    return program;
  };
  const restarted = "the agent was restarted while the task ran";
  const cases = [
    [goesOn, "cancelled: enough"],
    [() => Promise.resolve("gone"), `cancelled: enough; ${restarted}`],
  ] as [Host["takeUp"], string][];
  for (const [takeUp, expected] of cases) {
    const manager = new TaskManager(depsOf(left.journal, { ...IN_UNIT, takeUp }));
    manager.recover(structuredClone(left.unfinished));
    await manager.idle();
    const { status, error } = left.journal.ended.get("a") ?? {};
    assert.deepEqual([status, error], ["cancelled", expected]);
  }
  goOn.resolve();
  await run;
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a program that systemd does not tell of for a moment is taken up, and what is left is ended", async () => {
  const process = { pid: 1, startTicks: "", bootId: "", unit: "noderax-task-a.service" };
  const once = () => {
    let isAway = true;
    return () => {
      if (isAway) {
        isAway = false;
        throw new BusClosedError("not answered");
      }
    };
  };
  const [takesUp, ends] = [once(), once()];
  for (const isGone of [false, true]) {
    await withRunner(
      {
        host: {
          ...IN_UNIT,
          async takeUp(command) {
            takesUp();
            if (isGone) return "gone";
            const program = await childHost.start({ ...command, argv: ["false"] });
            await program.open();
            return program;
          },
          end: () => Promise.resolve().then(ends).then(() => 0),
        },
        types: new Map([["shell.exec", shellExec]]),
      },
      { process, type: "shell.exec", payload: { command: "true", shell: "/bin/bash" } },
      async (runner, journal) => {
        await runner.run();
        const { error } = journal.ended.get("a") ?? {};
        const restarted = "the agent was restarted while the task ran";
        if (isGone) assert.equal(error, restarted);
        else assert.notEqual(error, restarted);
      },
    );
  }
});
