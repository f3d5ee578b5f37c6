import assert from "node:assert/strict";
import { delay } from "@std/async";
import type { ControlPlane, FaultSpec } from "../scripts/dev/control_plane.ts";
import type { AgentProcess, Fleet } from "./_agent.ts";
import { assertKeptInTurn, countingCommand } from "./_chaos.ts";
import { livingWith } from "./_processes.ts";

const CALLS = ["/claim", "/accepted", "/started", "/logs", "/control", "/completed", "/heartbeat"];
/** How late the control plane may handle a call, in milliseconds. */
const LATENCY_MS = 300;
const FAULTS: Omit<FaultSpec, "path">[] = [
  { status: 500 },
  { status: 429 },
  { reset: "before" },
  { reset: "after" },
  { hang: true },
  { hang: "after" },
  { badJson: true },
  { latencyMs: LATENCY_MS },
];

/** Agents that are killed and stopped at random, on a control plane that fails at random. */
export class Chaos {
  readonly lines = new Map<string, number>();
  kills = 0;
  stops = 0;
  faults = 0;
  readonly #fleet: Fleet;
  readonly #controlPlane: ControlPlane;
  readonly #random: () => number;
  readonly #pace: number;

  /** All pauses are `pace` times as long as in a short run. */
  constructor(fleet: Fleet, random: () => number, pace: number) {
    this.#fleet = fleet;
    this.#controlPlane = fleet.controlPlane;
    this.#random = random;
    this.#pace = pace;
  }

  /** Does everything at once until the time is over; then waits for the end of every task. */
  async run(durationMs: number): Promise<void> {
    const endMs = performance.now() + durationMs;
    const again = async (fromMs: number, toMs: number, act: () => unknown) => {
      while (performance.now() < endMs) {
        await act();
        await delay(this.#between(fromMs, toMs) * this.#pace);
      }
    };
    await Promise.all([
      again(50, 400, () => this.#queue()),
      again(100, 600, () => this.#break()),
      again(5_000, 10_000, () => this.#goAway()),
      again(0, 1, () => this.#live()),
    ]);
    this.#controlPlane.clearFaults();
    await using agent = await this.#fleet.agent();
    for (const [id, lines] of this.lines) {
      await this.#fleet.ended(id, 60_000);
      await this.#fleet.closed(id);
      await assertKeptInTurn(this.#fleet, this.#controlPlane.task(id), lines);
      assert.deepEqual(await livingWith(id), []);
    }
    assert.equal((await agent.stop()).code, 0);
  }

  #between(from: number, to: number): number {
    return from + this.#random() * (to - from);
  }

  #pick<T>(...choices: [T, ...T[]]): T {
    return choices[Math.floor(this.#random() * choices.length)] ?? choices[0];
  }

  #queue(): void {
    const lines = this.#pick(1, 30, 300, 20_000);
    const pause = lines > 300 ? 0 : this.#pick(0, 0.002, 0.05);
    const command = countingCommand(this.#fleet, lines, pause);
    const stubborn = this.#random() < 0.2 ? 'trap "" TERM; ' : "";
    const id = this.#fleet.shell(stubborn + command, { timeout: this.#pick("1s", "20s") });
    this.lines.set(id, lines);
    if (this.#random() < 0.15) {
      setTimeout(() => this.#controlPlane.cancelTask(id), this.#between(0, 1_500));
    }
  }

  #break(): void {
    const [first = {}, ...others] = FAULTS;
    const path = CALLS[Math.floor(this.#random() * CALLS.length)] ?? "";
    this.#controlPlane.fault({ path, times: this.#pick(1, 2, 5), ...this.#pick(first, ...others) });
    this.faults++;
  }

  async #goAway(): Promise<void> {
    await delay(this.#between(0, 3_000));
    await this.#controlPlane.stop();
    await delay(this.#between(0, 2_000));
    await this.#controlPlane.start();
  }

  /** One agent, from its start to one of its ends. */
  async #live(): Promise<void> {
    const agent: AgentProcess = this.#fleet.spawnAgent();
    await delay(this.#between(50, 4_000) * this.#pace);
    if (this.#random() < 0.7) {
      this.kills++;
      await agent.kill();
    } else {
      this.stops++;
      agent.signal("SIGTERM");
      if (this.#random() < 0.3) setTimeout(() => agent.signal("SIGTERM"), 200);
      await agent.ended();
    }
    // A late call of this agent would be held against the next one, which may have ended the task.
    await delay(2 * LATENCY_MS);
  }
}
