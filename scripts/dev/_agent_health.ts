import type { HealthNews } from "./page/messages.ts";

const ASK_MS = 1_000;
const LIMIT_MS = 2_000;
const NOT_RUNNING: HealthNews = {
  type: "health",
  health: "unhealthy",
  problem: "the agent does not run",
  fix: "see what it said at the prompt of `deno task dev`",
};

/** Asks the running agent again and again whether it is ready, where it serves its metrics. */
export class AgentHealth implements Disposable {
  /** Where the agent is to serve them: the value of `metrics_listen`. */
  readonly address: string = freeAddress();
  readonly #changed: () => void;
  readonly #timer: ReturnType<typeof setInterval>;
  #news: HealthNews | undefined;

  /** `changed` is called when the verdict is another one. */
  constructor(changed: () => void) {
    this.#changed = changed;
    this.#timer = setInterval(() => void this.#ask(), ASK_MS);
  }

  /** The last verdict. */
  get news(): HealthNews | undefined {
    return this.#news;
  }

  /** Asks no more. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #ask(): Promise<void> {
    const news = await this.#verdict().catch(() => NOT_RUNNING);
    if (JSON.stringify(news) === JSON.stringify(this.#news)) return;
    this.#news = news;
    this.#changed();
  }

  async #verdict(): Promise<HealthNews> {
    const signal = AbortSignal.timeout(LIMIT_MS);
    const response = await fetch(`http://${this.address}/readyz`, { signal });
    const problem = (await response.text()).trim();
    if (response.ok) return { type: "health", health: "healthy" };
    const fix = "switch faults off, or wait: the agent tries again by itself";
    return { type: "health", health: "degraded", problem, fix };
  }
}

/** A port of loopback that is free now. */
function freeAddress(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `127.0.0.1:${listener.addr.port}`;
}
