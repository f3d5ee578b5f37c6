/** What a fault looks at to decide whether a request is its own. */
export interface FaultTarget {
  readonly method: string;
  /** The whole path, `/api/v1/…`. */
  readonly path: string;
  readonly body: unknown;
}

/** A fault to inject. Where several fit a request, their latencies add up and the first has its way. */
export interface FaultSpec {
  /** Only this method; default: any. */
  method?: string;
  /** A string that the path (`/api/v1/…`) contains, or a pattern it matches. */
  path: string | RegExp;
  /** A further condition, e.g. on the parsed body. */
  when?: (request: FaultTarget) => boolean;
  /** Lets so many fitting requests through first; default 0. */
  skip?: number;
  /** How many requests it hits; default: until removed. */
  times?: number;
  /** Time added before the request is handled. */
  latencyMs?: number | (() => number);
  /** Answers with this status, unhandled; the body is the usual error JSON unless `body` is given. */
  status?: number;
  /** The answer's body beside `status`; a string goes out as it is. */
  body?: unknown;
  /** Further response headers beside `status`. */
  headers?: Record<string, string>;
  /** A TCP reset: `before` the request is handled, or `after` it, in place of the answer. */
  reset?: "before" | "after";
  /** Never answers: true without handling the request, `"after"` having handled it. */
  hang?: true | "after";
  /** Handles the request, then answers 200 with text that is no JSON. */
  badJson?: true;
  /** Sends the answer's body in small pieces: so many bytes (default 1) every so often. */
  drip?: { everyMs: number; bytes?: number };
}

/** A fault that was set: take it away with `remove()`. */
export interface Fault {
  /** How many requests it has hit. */
  readonly hits: number;
  /** Takes the fault away; requests it already holds stay held. */
  remove(): void;
}

/** All that the faults of one request ask for. */
export type FaultPlan =
  & Pick<FaultSpec, "status" | "body" | "headers" | "reset" | "hang" | "badJson" | "drip">
  & { latencyMs: number };

/** The faults that are set, in the order they were set. */
export class Faults {
  readonly #faults = new Set<FaultSpec & { hits: number; seen: number }>();

  /** Sets a fault. */
  add(spec: FaultSpec): Fault {
    const fault = { ...spec, hits: 0, seen: 0 };
    this.#faults.add(fault);
    return {
      get hits() {
        return fault.hits;
      },
      remove: () => void this.#faults.delete(fault),
    };
  }

  /** Takes all faults away. */
  clear(): void {
    this.#faults.clear();
  }

  /** What happens to this request; undefined: nothing. Counts as a hit of each fault involved. */
  take(request: FaultTarget): FaultPlan | undefined {
    if (this.#faults.size === 0) return undefined;
    let plan: FaultPlan | undefined;
    for (const fault of this.#faults) {
      if (!fits(fault, request)) continue;
      if (fault.seen++ < (fault.skip ?? 0)) continue;
      fault.hits++;
      if (fault.hits >= (fault.times ?? Infinity)) this.#faults.delete(fault);
      const { latencyMs = 0 } = fault;
      const delayMs = typeof latencyMs === "function" ? latencyMs() : latencyMs;
      plan = { ...fault, ...plan, latencyMs: (plan?.latencyMs ?? 0) + delayMs };
    }
    return plan;
  }
}

function fits(fault: FaultSpec, request: FaultTarget): boolean {
  if (fault.method && fault.method.toUpperCase() !== request.method) return false;
  const { path } = fault;
  if (typeof path === "string" ? !request.path.includes(path) : request.path.search(path) < 0) {
    return false;
  }
  return fault.when?.(request) ?? true;
}
