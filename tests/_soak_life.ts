import assert from "node:assert/strict";
import { delay } from "@std/async";
import type { AgentProcess, Fleet } from "./_agent.ts";
import { assertKeptInTurn, countingCommand } from "./_chaos.ts";
import { type Footprint, footprint } from "./_footprint.ts";
import { filesIn } from "./_processes.ts";
import {
  authenticated,
  exited,
  leavesWell,
  liveAgent,
  numbers,
  openShell,
  startLoop,
  upTo,
} from "./_realtime.ts";
import { tell } from "./_together.ts";

/** Lines of the tasks, in turn; one in twenty prints a lot. */
const LINES = [1, 30, 300, 1, 30, 1, 30, 20_000, 1, 30, 300, 1, 30, 1, 30, 1, 300, 1, 30, 1];
const PACE = { taskMs: 1_000, roundMs: 9_000 };
/** An agent has its size after some 400 tasks: it is to have it after the first minute. */
const FIRST_PACE = { taskMs: 150, roundMs: 2_000 };
const FIRST_MS = 60_000;
const TERMINAL_LINES = 150;
/** So many rounds, and in one of them the socket drops; it goes with the server in one of these. */
const DROP_EVERY = 4;
const OUTAGE_EVERY = 12;

/** By how much an agent may grow. */
const MORE_DESCRIPTORS = 5;
const MORE_THREADS = 5;
const MORE_MIB_FOR_2000_TASKS = 5;
/** The memory of a short run is that of a start, which grows to its size. */
const FEWEST_TASKS_FOR_MEMORY = 500;
/** What V8 has not collected yet is no growth: it collects all when it has had a rest of some 10 s. */
const REST_MS = 30_000;
const LOOK_EVERY_MS = 400;

/** What an agent holds when it has nothing to do. */
interface Rest extends Footprint {
  tasks: number;
  files: string[];
}

/** One agent that lives through all of it, and must not grow. */
export class LongLife {
  tasks = 0;
  terminals = 0;
  drops = 0;
  outages = 0;
  readonly #fleet: Fleet;
  readonly #failures: unknown[] = [];
  #checks: Promise<void>[] = [];

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  /** Works for so long, and compares the agent after the first minute with the agent at the end. */
  async run(durationMs: number): Promise<void> {
    await using agent = await liveAgent(this.#fleet);
    const startedMs = performance.now();
    const isShort = durationMs < 3 * FIRST_MS;
    const pace = isShort ? { ...PACE, roundMs: Math.min(PACE.roundMs, durationMs / 5) } : PACE;
    const restMs = Math.min(REST_MS, durationMs / 12);
    const warmUpMs = isShort ? durationMs / 3 : FIRST_MS;
    await this.#work(agent, startedMs, warmUpMs, isShort ? pace : FIRST_PACE);
    const before = await this.#rest(agent, restMs);
    this.#tell("at rest", before);
    await this.#work(agent, startedMs, durationMs, pace);
    let after = await this.#rest(agent, restMs);
    // A short rest ends before threads are given back that are not used any more.
    for (let looks = 0; looks < 5 && growth(before, after).length > 0; looks++) {
      after = await this.#rest(agent, restMs);
    }
    this.#tell("at rest", after);
    assert.deepEqual(growth(before, after), []);
    await leavesWell(this.#fleet, agent);
  }

  /** Tasks, terminals, drops and outages until that time; then waits for the end of all of them. */
  async #work(agent: AgentProcess, startedMs: number, untilMs: number, pace: typeof PACE) {
    const passedMs = () => performance.now() - startedMs;
    const every = async (everyMs: number, act: () => unknown) => {
      for (let nextMs = passedMs(); nextMs < untilMs; nextMs += everyMs) {
        await delay(Math.max(0, nextMs - passedMs()));
        if (passedMs() >= untilMs) return;
        await act();
      }
    };
    await Promise.all([
      every(pace.taskMs, () => this.#queue()),
      every(pace.roundMs, () => this.#round()),
      every(Math.min(60_000, untilMs / 2), async () => {
        this.#tell(`${(passedMs() / 60_000).toFixed(1)} min`, await footprint(agent.pid));
      }),
    ]);
    await Promise.all(this.#checks);
    this.#checks = [];
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  #queue(): void {
    const lines = LINES[this.tasks++ % LINES.length] ?? 1;
    const id = this.#fleet.shell(countingCommand(this.#fleet, lines, lines === 30 ? 0.05 : 0));
    const check = async () => {
      const task = await this.#fleet.ended(id);
      assert.equal(task.status, "success", this.#fleet.controlPlane.describe(id));
      await this.#fleet.closed(id);
      await assertKeptInTurn(this.#fleet, task, lines);
    };
    this.#checks.push(check().catch((error) => void this.#failures.push(error)));
  }

  /** A terminal, and what befalls it. */
  async #round(): Promise<void> {
    const { controlPlane: cp } = this.#fleet;
    const round = this.terminals++;
    const { id } = await authenticated(cp);
    const terminal = await openShell(this.#fleet, { cols: 80, rows: 24 });
    await startLoop(
      terminal,
      `for i in $(seq ${TERMINAL_LINES}); do echo n$i; sleep 0.005; done; exit`,
    );
    if (round % OUTAGE_EVERY === 2) {
      this.outages++;
      await cp.stop();
      await delay(500);
      await cp.start();
      await authenticated(cp, id);
    } else if (round % DROP_EVERY === 1) {
      this.drops++;
      cp.realtime.dropSockets();
      await authenticated(cp, id);
    }
    await exited(terminal);
    assert.deepEqual([...new Set(numbers(terminal))], upTo(TERMINAL_LINES));
  }

  /** The least of some looks at an agent that has nothing to do for so long. */
  async #rest({ pid }: AgentProcess, restMs: number): Promise<Rest> {
    const looks: Footprint[] = [];
    for (let waitedMs = 0; waitedMs < restMs; waitedMs += LOOK_EVERY_MS) {
      await delay(LOOK_EVERY_MS);
      looks.push(await footprint(pid));
    }
    const least = (of: keyof Footprint) => Math.min(...looks.map((look) => look[of]));
    return {
      tasks: this.tasks,
      descriptors: least("descriptors"),
      threads: least("threads"),
      poolThreads: least("poolThreads"),
      residentMib: least("residentMib"),
      files: await filesIn(this.#fleet.stateFolder),
    };
  }

  #tell(when: string, { descriptors, threads, residentMib }: Footprint): void {
    const columns = [
      when.padStart(9),
      `${this.tasks} tasks`.padStart(11),
      `${this.terminals} terminals`.padStart(14),
      `${this.drops} drops`.padStart(9),
      `${this.outages} outages`.padStart(11),
      `${descriptors} descriptors`.padStart(16),
      `${threads} threads`.padStart(11),
      `${residentMib.toFixed(1)} MiB`.padStart(10),
    ];
    tell(columns.join(""));
  }
}

/** What an agent has too much of. */
function growth(before: Rest, after: Rest): string[] {
  const tasks = after.tasks - before.tasks;
  const mayBeMib = MORE_MIB_FOR_2000_TASKS * Math.max(1, tasks / 2_000);
  const limits: [keyof Footprint, number][] = [
    ["descriptors", MORE_DESCRIPTORS],
    ["threads", MORE_THREADS],
    ["residentMib", tasks < FEWEST_TASKS_FOR_MEMORY ? Infinity : mayBeMib],
  ];
  return [
    ...limits.filter(([what, more]) => after[what] > before[what] + more)
      .map(([what]) => `${what} grew from ${before[what]} to ${after[what]} in ${tasks} tasks`),
    ...after.files.filter((file) => !before.files.includes(file)).map((file) => `left: ${file}`),
  ];
}
