import { type Libc, O_CLOEXEC, openLibc } from "./libc.ts";

/** There is something to be read, or nobody will write any more. */
export const READABLE = 1;
/** There is room to write. */
export const WRITABLE = 4;

const ADD = 1;
const REMOVE = 2;
const CHANGE = 3;
/** Each wait hears of one event, and of no other before the next wait. */
const ONE_SHOT = 1 << 30;
/** `struct epoll_event`: 32 bits of events and 64 of data, packed on x64 alone. */
const [EVENT_BYTES, DATA_AT] = Deno.build.arch === "x86_64" ? [12, 4] : [16, 8];
const MAX_EVENTS = 64;

let shared: { readiness: EpollReadiness; users: number } | undefined;
/** Those that nobody uses any more, until they are closed. */
const closing = new Set<Promise<void>>();

/** Waits for descriptors: any number of them in one thread, and none while nobody waits. */
export interface Readiness extends Disposable {
  /**
   * Resolves when one of the `events` holds for a descriptor, or it was forgotten. Who waits for one
   * that is waited for already replaces its events.
   */
  wait(fd: number, events?: number): Promise<void>;
  /** Waits for it no more: to be called before it is closed. */
  forget(fd: number): void;
}

/** Those who have it open share one. */
export function openReadiness(): Readiness {
  const open = shared ??= { readiness: new EpollReadiness(openLibc()), users: 0 };
  open.users++;
  let isOpen = true;
  return {
    wait: (fd, events) => open.readiness.wait(fd, events),
    forget: (fd) => open.readiness.forget(fd),
    [Symbol.dispose]: () => {
      if (!isOpen) return;
      isOpen = false;
      if (--open.users > 0) return;
      shared = undefined;
      const closed = open.readiness.close();
      closing.add(closed);
      void closed.finally(() => closing.delete(closed));
    },
  };
}

/** Resolves when all that was let go is closed: a thread that waits ends a moment after it is woken. */
export async function readinessClosed(): Promise<void> {
  await Promise.all(closing);
}

class EpollReadiness {
  readonly #libc: Libc;
  readonly #epoll: number;
  readonly #waker: number;
  readonly #waiters = new Map<number, PromiseWithResolvers<void>>();
  /** Each with the number of its registration: what was found of an earlier one is not this one's. */
  readonly #known = new Map<number, number>();
  #registrations = 0;
  readonly #found: Uint8Array<ArrayBuffer> = new Uint8Array(MAX_EVENTS * EVENT_BYTES);
  #loop: Promise<void> | undefined;

  constructor(libc: Libc) {
    this.#libc = libc;
    const { symbols, check } = libc;
    this.#epoll = check(symbols.epoll_create1(O_CLOEXEC), "epoll_create1");
    this.#waker = check(symbols.eventfd(0, O_CLOEXEC), "eventfd");
    this.#control(ADD, this.#waker, READABLE);
  }

  wait(fd: number, events = READABLE): Promise<void> {
    const known = this.#known.get(fd);
    const registration = known ?? ++this.#registrations >>> 0;
    this.#control(known === undefined ? ADD : CHANGE, fd, events | ONE_SHOT, registration);
    this.#known.set(fd, registration);
    const waiter = this.#waiters.get(fd) ?? Promise.withResolvers<void>();
    this.#waiters.set(fd, waiter);
    this.#loop ??= this.#run();
    return waiter.promise;
  }

  forget(fd: number): void {
    if (!this.#known.delete(fd)) return;
    try {
      this.#control(REMOVE, fd, 0);
    } catch {
      // It is closed already, and not waited for any more.
    }
    this.#waiters.get(fd)?.resolve();
    this.#waiters.delete(fd);
    if (this.#waiters.size === 0) this.#wake();
  }

  async close(): Promise<void> {
    for (const fd of [...this.#known.keys()]) this.forget(fd);
    this.#wake();
    if (this.#loop) await this.#loop;
    this.#libc.symbols.close(this.#epoll);
    this.#libc.symbols.close(this.#waker);
    this.#libc[Symbol.dispose]();
  }

  /** Without anybody who waits it ends: the thread is given back, and the program may end. */
  async #run(): Promise<void> {
    const { symbols } = this.#libc;
    while (this.#waiters.size > 0) {
      const count = await symbols.epollWaitInBackground(
        this.#epoll,
        this.#found,
        MAX_EVENTS,
        -1,
      );
      const view = new DataView(this.#found.buffer);
      for (let at = 0; at < count; at++) {
        const fd = view.getInt32(at * EVENT_BYTES + DATA_AT, true);
        if (fd === this.#waker) symbols.read(fd, new Uint8Array(8), 8n);
        const registration = view.getUint32(at * EVENT_BYTES + DATA_AT + 4, true);
        // It was forgotten since, and its number is another one's by now.
        if (this.#known.get(fd) !== registration) continue;
        this.#waiters.get(fd)?.resolve();
        this.#waiters.delete(fd);
      }
      // Those who were resolved may wait again.
      await Promise.resolve();
    }
    this.#loop = undefined;
  }

  #control(operation: number, fd: number, events: number, registration = 0): void {
    const event = new Uint8Array(EVENT_BYTES);
    const view = new DataView(event.buffer);
    view.setUint32(0, events, true);
    view.setInt32(DATA_AT, fd, true);
    view.setUint32(DATA_AT + 4, registration, true);
    const result = this.#libc.symbols.epoll_ctl(this.#epoll, operation, fd, event);
    this.#libc.check(result, "epoll_ctl");
  }

  #wake(): void {
    if (!this.#loop) return;
    this.#libc.symbols.write(this.#waker, new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]), 8n);
  }
}
