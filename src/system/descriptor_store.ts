import { delay } from "@std/async";
import { closeOnExec, type Libc, O_CLOEXEC, openLibc } from "./libc.ts";
import type { Logger } from "./logger.ts";
import { Mutex } from "./mutex.ts";
import { type Notifier, openNotifier } from "./notify.ts";
import { openReadiness, type Readiness } from "./readiness.ts";
import { within } from "./deadline.ts";

/** Where inherited descriptors begin, by the convention of sd_listen_fds. */
const FIRST = 3;
/** How long the service manager may take to take a descriptor, in milliseconds. */
const LIMIT_MS = 5_000;
const TRY_AGAIN_MS = 20;

/**
 * Descriptors that the service manager keeps for this service and hands to its next process, however
 * this one ends (FDSTORE of sd_notify). It forgets them when the service is stopped.
 */
export class DescriptorStore implements Disposable {
  readonly #libc: Libc = openLibc();
  readonly #readiness: Readiness = openReadiness();
  readonly #notifier: Notifier;
  readonly #inherited: Map<string, number>;
  /** One at a time: as few as ten messages may wait for the service manager. */
  readonly #turns = new Mutex();

  private constructor(notifier: Notifier, inherited: Map<string, number>) {
    this.#notifier = notifier;
    this.#inherited = inherited;
    for (const fd of inherited.values()) closeOnExec(this.#libc, fd);
  }

  /** Takes over what an earlier process has left; undefined without a service manager. */
  static open(
    env: (name: string) => string | undefined,
    logger: Logger,
  ): DescriptorStore | undefined {
    const notifier = openNotifier(env, logger);
    return notifier && new DescriptorStore(notifier, inheritedDescriptors(env));
  }

  /** The names that are left of an earlier process, and that nobody has taken. */
  get left(): string[] {
    return [...this.#inherited.keys()];
  }

  /** Gives the descriptor that an earlier process has kept by this name, to its new owner. */
  take(name: string): number | undefined {
    const fd = this.#inherited.get(name);
    this.#inherited.delete(name);
    return fd;
  }

  /**
   * Keeps a copy of a descriptor by a name of its own; resolves when the service manager has it.
   *
   * @throws when it does not take it, or takes too long.
   */
  async keep(name: string, fd: number): Promise<void> {
    await this.#turns.take(async () => {
      // Without a word it would drop a terminal that nobody has open, or a pipe without a writer.
      await this.#send(`FDSTORE=1\nFDNAME=${name}\nFDPOLL=0`, [fd]);
      await this.#barrier();
    });
  }

  /** Has the copy of that name forgotten. */
  forget(name: string): void {
    const fd = this.take(name);
    if (fd !== undefined) this.#libc.symbols.close(fd);
    const work = async () => {
      await this.#send(`FDSTOREREMOVE=1\nFDNAME=${name}`);
      await this.#barrier();
    };
    // What is kept in vain the next process forgets.
    this.#turns.take(work).catch(() => {});
  }

  /** Closes the way to the service manager, once it has heard all; what is kept stays kept. */
  [Symbol.dispose](): void {
    void this.#turns.idle().then(() => {
      this.#notifier[Symbol.dispose]();
      this.#readiness[Symbol.dispose]();
      this.#libc[Symbol.dispose]();
    });
  }

  /** While the service manager executes itself anew, or has much to read, it takes nothing. */
  async #send(state: string, descriptors: readonly number[] = []): Promise<void> {
    const endMs = performance.now() + LIMIT_MS;
    while (!this.#notifier.tell(state, descriptors)) {
      if (performance.now() >= endMs) throw new Error("the service manager is out of reach");
      await delay(TRY_AGAIN_MS);
    }
  }

  /** The service manager closes what it gets with BARRIER when all before it has been handled. */
  async #barrier(): Promise<void> {
    const { symbols, check } = this.#libc;
    const ends = new Int32Array(2);
    check(symbols.pipe2(new Uint8Array(ends.buffer), O_CLOEXEC), "pipe2");
    const [near = -1, far = -1] = ends;
    try {
      try {
        await this.#send("BARRIER=1", [far]);
      } finally {
        symbols.close(far);
      }
      await within(this.#readiness.wait(near), LIMIT_MS);
    } finally {
      this.#readiness.forget(near);
      symbols.close(near);
    }
  }
}

/** The descriptors that this process was started with, by their names. */
function inheritedDescriptors(env: (name: string) => string | undefined): Map<string, number> {
  if (Number(env("LISTEN_PID")) !== Deno.pid) return new Map();
  const names = env("LISTEN_FDNAMES")?.split(":") ?? [];
  const count = Number(env("LISTEN_FDS")) || 0;
  return new Map(names.slice(0, count).map((name, at) => [name, FIRST + at]));
}
