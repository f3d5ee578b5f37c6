/** What Deno's core has for timers; it is no part of what Deno promises. */
interface Core {
  createTimer: (
    callback: (...args: unknown[]) => void,
    afterMs: number | undefined,
    args: unknown[] | undefined,
    isRepeat: boolean,
    isRefed: boolean,
  ) => object;
  cancelTimer: (timer: object) => void;
  refTimer: (timer: object) => void;
  unrefTimer: (timer: object) => void;
}

const NAMES = ["createTimer", "cancelTimer", "refTimer", "unrefTimer"] as const;

/** A timer that runs, with the part of Node's that Deno itself uses. */
class BareTimer {
  readonly #core: Core;
  readonly #timer: object;

  constructor(core: Core, timer: object) {
    this.#core = core;
    this.#timer = timer;
  }

  cancel(): void {
    this.#core.cancelTimer(this.#timer);
  }

  ref(): this {
    this.#core.refTimer(this.#timer);
    return this;
  }

  unref(): this {
    this.#core.unrefTimer(this.#timer);
    return this;
  }
}

/**
 * Has `setTimeout` and its like use the timers of Deno's core as they are. Those that Deno gives out are
 * Node's, and the first one loads what Node has for them: 12 ms of processor time and 4 MB. Says
 * whether it could be done: a Deno that has no such core keeps what it has. To be called before any
 * timer is set; what follows the asynchronous context, as traces do, must not use it.
 */
export function useBareTimers(): boolean {
  const core = coreOf();
  if (!core) return false;
  const nodes = Object.getOwnPropertyDescriptor(globalThis, "clearTimeout")?.get;
  const set = (isRepeat: boolean) => (callback: () => void, ms?: number, ...args: unknown[]) =>
    new BareTimer(core, core.createTimer(callback, ms, args, isRepeat, true));
  const clear = (timer: unknown) => {
    if (timer instanceof BareTimer) timer.cancel();
    // A module of Node that is loaded later sets timers of its own.
    else if (timer !== undefined && timer !== null) nodes?.call(globalThis)(timer);
  };
  const functions = {
    ...{ setTimeout: set(false), setInterval: set(true) },
    ...{ clearTimeout: clear, clearInterval: clear },
  };
  for (const [name, value] of Object.entries(functions)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
  }
  return true;
}

function coreOf(): Core | undefined {
  const internals: unknown = Reflect.get(Deno, Reflect.get(Deno, "internal") ?? "");
  const core = isObject(internals) ? Reflect.get(internals, "core") : undefined;
  return isCore(core) ? core : undefined;
}

function isCore(value: unknown): value is Core {
  return isObject(value) && NAMES.every((name) => typeof Reflect.get(value, name) === "function");
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
