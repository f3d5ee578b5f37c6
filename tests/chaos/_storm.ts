import assert from "node:assert/strict";
import { delay } from "@std/async";
import type { Terminal } from "../../scripts/dev/control_plane.ts";
import type { AgentProcess, Fleet } from "../_agent.ts";
import { assertKept, countingCommand, seeded } from "../_chaos.ts";
import { type Footprint, footprint } from "../_footprint.ts";
import { eventually, livingWith, outputOf } from "../_processes.ts";
import { assertInOrder, gone, liveAgent, numbers, realtimeFleet } from "../_realtime.ts";
import type { SmallDisk } from "../_small_disk.ts";
import type { Proxy } from "./_proxy.ts";
import type { Shims } from "./_shims.ts";

/** By how much more an agent may hold after the storm. */
const MORE = { descriptors: 12, ownThreads: 0, residentMib: 40 };
/** So many threads for files the runtime starts by need, and keeps while they are used in turn. */
const MAX_POOL_THREADS = 32;
/** How far the clock may jump, in seconds. */
const JUMPS: [number, ...number[]] = [60, -60, 3_600, -3_600, 400 * 86_400, -400 * 86_400];
/** How many numbers a terminal prints. */
const NUMBERS = 400;
const SIGHT_MS = 120_000;
/** So much of what the last agent has logged belongs to the story. */
const TOLD_EVENTS = 500;

/** What a storm works with. */
export interface StormOptions {
  /** The control plane and the node. */
  fleet: Fleet;
  /** The way from the agent to it. */
  proxy: Proxy;
  /** The disk of the agent's state, where one can be mounted. */
  disk: SmallDisk | undefined;
  /** What makes disks slow and clocks jump, where it can be made. */
  shims: Shims | undefined;
  /** Repeats the choices. */
  seed: number;
}

/** Choices that a seed repeats. */
class Dice {
  /** A number from 0 to 1. */
  readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  between(from: number, to: number): number {
    return Math.round(from + this.random() * (to - from));
  }

  pick<T>(...choices: [T, ...T[]]): T {
    return choices[Math.floor(this.random() * choices.length)] ?? choices[0];
  }
}

/** Agents, tasks and terminals on a network, a disk and a machine that fail; and what is owed for each. */
export class Storm {
  /** What was done, in its order. */
  readonly story: string[] = [];
  /** How often what was done. */
  readonly counts = new Map<string, number>();
  readonly #options: StormOptions;
  readonly #fleet: Fleet;
  readonly #work: Dice;
  readonly #network: Dice;
  readonly #machine: Dice;
  readonly #terminal: Dice;
  readonly #startMs = performance.now();
  /** The tasks, and how many lines are owed for each. */
  readonly #tasks = new Map<string, number>();
  readonly #failures: unknown[] = [];
  #agent: AgentProcess;
  /** How many agents were ended: their terminals end with them. */
  #ends = 0;
  /** How many faults are on, and how many there were. */
  readonly #faults = { on: 0, begun: 0 };

  /** Starts the first agent. */
  constructor(options: StormOptions) {
    this.#options = options;
    this.#fleet = options.fleet;
    // Each of what goes on together has its own: how quick one is does not change the others.
    const dice = (at: number) => new Dice(seeded(options.seed + at));
    [this.#work, this.#network, this.#machine, this.#terminal] = [
      dice(0),
      dice(1),
      dice(2),
      dice(3),
    ];
    this.#agent = this.#spawn();
  }

  /** How many tasks there were. */
  get tasks(): number {
    return this.#tasks.size;
  }

  /** How many faults there were, of whatever kind. */
  get faults(): number {
    return this.#faults.begun;
  }

  /** Rages for so long; then all is well, and everything that is owed is looked at. */
  async run(durationMs: number): Promise<void> {
    const endMs = performance.now() + durationMs;
    const again = async (act: () => Promise<unknown>) => {
      while (performance.now() < endMs && this.#failures.length === 0) {
        await act().catch((error) => this.#failures.push(error));
      }
    };
    await Promise.all([
      again(() => this.#queueSome()),
      again(() => this.#fault(() => this.#blow(), this.#network.between(500, 4_000))),
      again(() => this.#fault(() => this.#harm(), this.#machine.between(3_000, 9_000))),
      again(() => this.#openTerminal(endMs)),
    ]);
    this.#options.proxy.clear();
    this.#options.proxy.cut();
    this.#note("calm");
    try {
      if (this.#failures.length === 0) await this.#settle();
    } catch (error) {
      this.#failures.push(error);
    } finally {
      await this.#agent.kill();
    }
    for (const { time, msg, ...fields } of this.#agent.events.slice(-TOLD_EVENTS)) {
      if (fields.level !== "debug" || msg.startsWith("output goes on")) {
        this.story.push(`${time}  ${msg} ${JSON.stringify(fields)}`);
      }
    }
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  #note(what: string, detail: unknown = ""): void {
    const seconds = ((performance.now() - this.#startMs) / 1_000).toFixed(1);
    this.story.push(`${seconds.padStart(7)} s  ${what} ${detail}`);
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  #spawn(): AgentProcess {
    const { shims } = this.#options;
    const isSlow = shims !== undefined && this.#machine.random() < 0.3;
    if (isSlow) this.#note("slow disk");
    return this.#fleet.spawnAgent({ SHELL: "/bin/bash", ...shims?.env(isSlow) });
  }

  /** Has a fault come after a pause. */
  async #fault(act: () => Promise<void>, pauseMs: number): Promise<void> {
    await delay(pauseMs);
    this.#faults.begun++;
    this.#faults.on++;
    await act();
    this.#faults.on--;
  }

  async #queueSome(): Promise<void> {
    const lines = this.#work.pick(1, 30, 300, 300, 5_000);
    const pause = lines > 300 ? 0 : this.#work.pick(0, 0.01, 0.05);
    this.#queue(lines, pause);
    await delay(this.#work.between(200, 1_200));
  }

  #queue(lines: number, pause: number): string {
    const id = this.#fleet.shell(countingCommand(this.#fleet, lines, pause));
    this.#tasks.set(id, lines);
    return id;
  }

  async #blow(): Promise<void> {
    const { proxy } = this.#options;
    const what = this.#network.pick(
      "cut",
      "delay",
      "hole",
      "throttle",
      "dead line",
      "corrupt",
      "duplicate",
    );
    const forMs = what === "hole"
      ? this.#network.pick(1_000, 4_000, 18_000)
      : this.#network.between(1_000, 6_000);
    this.#note(what, `${forMs} ms`);
    if (what === "cut") return proxy.cut();
    if (what === "dead line") return proxy.die();
    if (what === "corrupt") proxy.weather.corrupt = true;
    if (what === "duplicate") proxy.weather.duplicate = true;
    if (what === "delay") proxy.weather.delayMs = this.#network.pick(50, 300, 800);
    if (what === "hole") proxy.weather.hole = true;
    if (what === "throttle") proxy.weather.bytesPerSecond = this.#network.pick(2_000, 20_000);
    await delay(forMs);
    proxy.clear();
  }

  async #harm(): Promise<void> {
    await this.#agent.waitForLog("agent started");
    switch (
      this.#machine.pick(
        "kill",
        "stop",
        "still",
        "still",
        "descriptors",
        "second agent",
        "full disk",
        "clock",
      )
    ) {
      case "kill":
        this.#note("SIGKILL");
        this.#ends++;
        await this.#agent.kill();
        this.#requireQuiet();
        // What it had sent does not come after what the next one sends.
        this.#options.proxy.cut();
        this.#agent = this.#spawn();
        return;
      case "stop":
        this.#note("SIGTERM");
        this.#ends++;
        assert.equal((await this.#agent.stop()).code, 0, "it stops in good order");
        this.#requireQuiet();
        this.#options.proxy.cut();
        this.#agent = this.#spawn();
        return;
      case "still": {
        const forMs = this.#machine.pick(1_000, 5_000, 20_000);
        this.#note("SIGSTOP", `${forMs} ms`);
        this.#agent.signal("SIGSTOP");
        await delay(forMs);
        this.#agent.signal("SIGCONT");
        return;
      }
      case "descriptors":
        return await this.#withoutDescriptors();
      case "second agent":
        return await this.#secondAgent();
      case "full disk":
        return await this.#withoutDisk();
      case "clock":
        return await this.#jump();
    }
  }

  /** No more files can be opened for a while. */
  async #withoutDescriptors(): Promise<void> {
    const { pid } = this.#agent;
    const { descriptors } = await footprint(pid);
    this.#note("EMFILE", `at ${descriptors}`);
    const [soft = ""] =
      (await outputOf("prlimit", "--nofile", "--noheadings", "-o", "SOFT", "-p", `${pid}`))
        .trim().split("\n");
    await outputOf(
      "prlimit",
      `--nofile=${descriptors + this.#machine.between(0, 4)}:`,
      "-p",
      `${pid}`,
    );
    await delay(this.#machine.between(500, 3_000));
    await outputOf("prlimit", `--nofile=${soft.trim()}:`, "-p", `${pid}`);
  }

  /** The clock is wrong for a while: so wrong, perhaps, that no certificate is valid. */
  async #jump(): Promise<void> {
    const { shims } = this.#options;
    if (!shims) return;
    const seconds = this.#machine.pick(...JUMPS);
    const forMs = this.#machine.between(1_000, 6_000);
    this.#note("clock jump", `by ${seconds} s for ${forMs} ms`);
    await shims.setClock(seconds);
    await delay(forMs);
    await shims.setClock(0);
  }

  /** Another one on the same state has to leave at once, and say why. */
  async #secondAgent(): Promise<void> {
    this.#note("second agent");
    await using other = this.#fleet.spawnAgent();
    const { code } = await other.ended();
    assert.notEqual(code, 0, "two agents have one state folder");
  }

  /** What is begun now is kept in memory alone: it must not be killed before it has ended. */
  async #withoutDisk(): Promise<void> {
    const { disk } = this.#options;
    if (!disk) return;
    this.#note("ENOSPC");
    await disk.fill();
    const tasks = [1, 30].map((lines) => this.#queue(lines, 0.01));
    await Promise.all(tasks.map((id) => this.#fleet.ended(id)));
    await disk.free();
    // Others were begun meanwhile, up to this moment: they have to end too.
    const others = [...this.#tasks.keys()].filter((id) => this.#hasBegun(id));
    await Promise.all(others.map((id) => this.#fleet.ended(id)));
  }

  #hasBegun(id: string): boolean {
    return this.#fleet.controlPlane.task(id).status !== "queued";
  }

  /** One terminal whose numbers must all be there, unless its agent was ended meanwhile. */
  async #openTerminal(endMs: number): Promise<void> {
    const { controlPlane: cp } = this.#fleet;
    await delay(this.#terminal.between(500, 3_000));
    if (performance.now() > endMs - 5_000) return;
    const [ends, { on, begun }] = [this.#ends, { ...this.#faults }];
    let terminal: Terminal | undefined;
    try {
      if (cp.realtime.sockets.length === 0) return;
      terminal = cp.realtime.openTerminal({ cols: 80, rows: 24 });
      this.#note("terminal");
      await terminal.waitFor((t) => t.ended || /[#$>] $/.test(t.tail(200)));
      terminal.input("echo re''ady\n");
      await terminal.waitFor((t) => t.ended || t.text.includes("ready\r\n"));
      terminal.input(`for i in $(seq ${NUMBERS}); do echo n$i; sleep 0.02; done; exit\n`);
      await terminal.waitFor((t) => t.ended);
    } catch (error) {
      // What is typed while the node is away ends a terminal (contract: Realtime).
      const isAway = terminal === undefined || terminal.endedByServer;
      if (!isAway && on === 0 && begun === this.#faults.begun) throw error;
      return this.#note("lost terminal", error instanceof Error ? error.message : error);
    }
    const found = numbers(terminal);
    // Where one fault follows another it can be unknown whether a frame has arrived: it goes again.
    const once = [...new Set(found)];
    if (once.length < found.length) {
      assert(on > 0 || begun < this.#faults.begun, "a frame came twice without a fault");
      this.#note("repeated frame", `${found.length - once.length} numbers`);
    }
    if (ends !== this.#ends || terminal.status !== "closed" || terminal.endedByServer) {
      return assertInOrder(once);
    }
    assertInOrder(once, NUMBERS);
    this.#note("whole terminal");
    await gone(terminal);
  }

  /** A short storm may have left none whole; in the calm one must come to its end, if not at once. */
  async #requireWholeTerminal(): Promise<void> {
    const { controlPlane: cp } = this.#fleet;
    for (let tries = 0; tries < 3 && !this.counts.has("whole terminal"); tries++) {
      await cp.waitFor(() => cp.realtime.sockets.length > 0, {
        timeoutMs: SIGHT_MS,
        what: "the node's return",
      });
      await this.#openTerminal(Infinity);
    }
    assert(this.counts.has("whole terminal"), "no terminal was whole");
  }

  /** Whatever happened to it, an agent has no error of its own. */
  #requireQuiet(): void {
    for (const { msg, error } of this.#agent.events.filter(({ level }) => level === "error")) {
      assert(!/uncaught|could not be handled/.test(msg), `${msg}: ${error}`);
    }
    const other = this.#agent.otherOutput.filter((line) => /panick|Uncaught|error:/i.test(line));
    assert.deepEqual(other, []);
  }

  /** Everything that is owed: nothing is lost, run twice, out of order, or left. */
  async #settle(): Promise<void> {
    const { controlPlane: cp, stateFolder } = this.#fleet;
    await this.#agent.waitForLog("agent started");
    await this.#requireWholeTerminal();
    for (const [id, lines] of this.#tasks) {
      await this.#fleet.ended(id, SIGHT_MS);
      await this.#closed(id);
      await assertKept(this.#fleet, cp.task(id), lines);
      assert.deepEqual(await livingWith(id), [], `left of ${id}`);
    }
    // A call that was given up may arrive beside its second try, or later: the proxy had it.
    const breaches = cp.violations.filter((sentence) => !/in flight|takes no logs/.test(sentence));
    assert.deepEqual(breaches, []);
    this.#requireQuiet();
    await this.#requireSmall();
    assert.equal((await this.#agent.stop()).code, 0);
    const left = await Array.fromAsync(Deno.readDir(`${stateFolder}/tasks`), ({ name }) => name);
    assert.deepEqual(left.filter((name) => name !== "ended.jsonl"), [], "files are left");
  }

  async #closed(id: string): Promise<void> {
    try {
      await this.#fleet.closed(id);
    } catch (error) {
      const { controlPlane: cp, tasksFolder } = this.#fleet;
      const files = await Array.fromAsync(Deno.readDir(tasksFolder), ({ name }) => name);
      this.story.push(`files: ${files.join(", ")}\n${cp.describe(id)}`);
      throw error;
    }
  }

  /** It comes to hold no more than an agent that has lived through nothing. */
  async #requireSmall(): Promise<void> {
    await using fleet = await realtimeFleet();
    await using fresh = await liveAgent(fleet);
    const before = await this.#holdings(fresh.pid);
    let seen = "";
    // Threads that are not used any more are given back after a while.
    await eventually("an agent that holds little", async () => {
      const after = await this.#holdings(this.#agent.pid);
      const much = (["descriptors", "ownThreads", "residentMib"] as const)
        .filter((what) => after[what] > before[what] + MORE[what]);
      seen = much.map((what) => `${what} ${after[what]}, not ${before[what]}`).join("; ");
      assert(after.poolThreads <= MAX_POOL_THREADS, `${after.poolThreads} threads for files`);
      return much.length === 0;
    }).catch((error) => {
      throw new Error(seen, { cause: error });
    });
  }

  async #holdings(pid: number): Promise<Footprint & { ownThreads: number }> {
    const found = await footprint(pid);
    return { ...found, ownThreads: found.threads - found.poolThreads };
  }
}
