import { delay } from "@std/async";
import { type ControlPlane, startControlPlane } from "../../scripts/dev/control_plane.ts";
import { epochMs } from "../_realtime.ts";
import { LOOK_MS, stallNoter } from "./_stall.ts";
import type { Herd } from "./_agents.ts";

const PROCESS_AGENTS = 250;

/** Moments, in epoch milliseconds. */
export type Moments = number[];

/** A control plane and so many agents in few processes. */
export class WatchedHerd implements AsyncDisposable {
  readonly size: number;
  /** Their reconnect_spread, in milliseconds. */
  readonly spreadMs: number;
  readonly controlPlane: ControlPlane;
  readonly #children: Deno.ChildProcess[] = [];
  readonly #inputs: WritableStreamDefaultWriter<Uint8Array>[] = [];
  /** When each session came up, in the order of that. */
  readonly #sessions: Moments = [];
  readonly #known = new Map<string, string>();
  readonly #look: ReturnType<typeof setInterval>;
  #stallMs = 0;
  /** The longest that a process of this herd ever stood still, in milliseconds. */
  longestStallMs = 0;

  private constructor(size: number, spreadMs: number, controlPlane: ControlPlane) {
    this.size = size;
    this.spreadMs = spreadMs;
    this.controlPlane = controlPlane;
    const noteStall = stallNoter((ms) => this.#stalled(ms));
    this.#look = setInterval(() => {
      noteStall();
      this.#noteSessions();
    }, LOOK_MS);
  }

  /** Starts all of them, and waits until each has its session. */
  static async start(size: number, seed: number, spreadMs: number): Promise<WatchedHerd> {
    const controlPlane = await startControlPlane({ rateLimits: false, maxRequests: 1_000_000 });
    const herd = new WatchedHerd(size, spreadMs, controlPlane);
    for (let from = 0; from < size; from += PROCESS_AGENTS) {
      const length = Math.min(PROCESS_AGENTS, size - from);
      const nodes = Array.from({ length }, (_, i) => {
        return controlPlane.addNode({ hostname: `node-${from + i}` });
      });
      await herd.#spawn({ apiUrl: controlPlane.url, seed: seed + from, spreadMs, nodes });
    }
    await herd.allConnected();
    return herd;
  }

  /** Resolves when each has one that came up after a moment. */
  async allConnected(fromMs = 0, limitMs = 180_000): Promise<void> {
    for (const endMs = epochMs() + limitMs;; await delay(LOOK_MS)) {
      const { sockets } = this.controlPlane.realtime;
      const late = this.size - sockets.filter((socket) => socket.connectedAt >= fromMs).length;
      if (late === 0) break;
      if (epochMs() > endMs) throw new Error(`${late} of ${this.size} agents did not come back`);
    }
    this.#noteSessions();
  }

  /** How long a process of this herd has stood still since this was last asked, in milliseconds. */
  takeStallMs(): number {
    const stallMs = this.#stallMs;
    this.#stallMs = 0;
    return stallMs;
  }

  /** When sessions came up from a moment on. */
  sessions(fromMs: number): Moments {
    return this.#sessions.filter((at) => at >= fromMs);
  }

  /** When calls arrived whose path ends so, from a moment on. */
  calls(path: string, fromMs: number): Moments {
    return this.controlPlane.requests
      .filter((request) => request.at >= fromMs && request.path.includes(path))
      .map(({ at }) => at);
  }

  /** Ends all of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#look);
    await Promise.allSettled(this.#inputs.map((input) => input.close()));
    await Promise.all(this.#children.map((child) => child.status));
    await this.controlPlane[Symbol.asyncDispose]();
  }

  async #spawn(herd: Herd): Promise<void> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "-P=test", `${import.meta.dirname}/_agents.ts`],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    void this.#readStalls(child.stdout);
    this.#children.push(child);
    const input = child.stdin.getWriter();
    this.#inputs.push(input);
    await input.write(new TextEncoder().encode(`${JSON.stringify(herd)}\n`));
  }

  /** What an agents' process prints are its stalls. */
  async #readStalls(stdout: ReadableStream<Uint8Array>): Promise<void> {
    for await (const text of stdout.pipeThrough(new TextDecoderStream())) {
      for (const line of text.split("\n")) this.#stalled(Number(line) || 0);
    }
  }

  #stalled(ms: number): void {
    this.#stallMs = Math.max(this.#stallMs, ms);
    this.longestStallMs = Math.max(this.longestStallMs, ms);
  }

  #noteSessions(): void {
    for (const { id, nodeId, authenticatedAt } of this.controlPlane.realtime.sockets) {
      if (this.#known.get(nodeId) === id || authenticatedAt === undefined) continue;
      this.#known.set(nodeId, id);
      this.#sessions.push(authenticatedAt);
    }
  }
}
