import { delay } from "@std/async";
import {
  type ChangedProperties,
  isNoSuchUnit,
  type ServiceManager,
} from "../system/service_manager.ts";
import { signalOf } from "../system/signal_number.ts";

/** What `ExecMainCode` says of a process that has exited by itself (`CLD_EXITED`). */
const EXITED = 1;
/** systemd is asked again after this time, in milliseconds, where it does not answer. */
const RETRY_MS = 250;

/** How the main process of a unit ended. */
export interface MainEnd {
  /** The exit code, 128 + n after signal n; undefined where systemd has forgotten it. */
  code: number | undefined;
  /** The signal that ended it, if one did. */
  signal: string | undefined;
}

/**
 * Follows the main process of a unit until it has ended. Most of what there is to know systemd tells by
 * itself.
 */
export class MainEndWatch implements Disposable {
  /** How it has ended; never, where it is not followed to its end. */
  readonly ended: Promise<MainEnd>;
  readonly #manager: Pick<ServiceManager, "property" | "watch">;
  readonly #unit: string;
  readonly #ended = Promise.withResolvers<MainEnd>();
  readonly #watch: Disposable;
  #isOver = false;
  #isLooking = false;
  #looksAgain = false;

  /** Begins to follow a unit that has been started. */
  constructor(manager: Pick<ServiceManager, "property" | "watch">, unit: string) {
    this.#manager = manager;
    this.#unit = unit;
    this.ended = this.#ended.promise;
    this.#watch = manager.watch(unit, (read) => this.#hear(read));
    // It may be over already.
    void this.#look();
  }

  /** Follows it no more. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#watch[Symbol.dispose]();
  }

  #hear(read: (() => ChangedProperties) | undefined): void {
    if (this.#isOver) return;
    const changed = read?.();
    const active = changed?.get("ActiveState");
    // It was stopped, or what was told is lost.
    if (!changed || active === "inactive" || active === "failed") return void this.#look();
    const [code, status] = [changed.get("ExecMainCode"), changed.get("ExecMainStatus")];
    this.#over(mainEndBy(Number(code ?? 0), Number(status ?? 0)));
  }

  #over(end: MainEnd | undefined): void {
    if (!end || this.#isOver) return;
    this[Symbol.dispose]();
    this.#ended.resolve(end);
  }

  /** Looks whether it has ended, one look at a time. */
  async #look(): Promise<void> {
    this.#looksAgain = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    while (this.#looksAgain && !this.#isOver) {
      this.#looksAgain = false;
      try {
        this.#over(await mainEndOf(this.#manager, this.#unit));
      } catch {
        // What has changed meanwhile nobody tells once more.
        await delay(RETRY_MS);
        this.#looksAgain = true;
      }
    }
    this.#isLooking = false;
  }
}

/** How a main process has ended, by the properties `ExecMainCode` and `ExecMainStatus`. */
function mainEndBy(code: number, status: number): MainEnd | undefined {
  if (code === 0) return undefined;
  if (code === EXITED) return { code: status, signal: undefined };
  return { code: 128 + status, signal: signalOf(status) };
}

/** How the main process of a unit has ended; undefined while it runs. */
export async function mainEndOf(
  manager: Pick<ServiceManager, "property">,
  unit: string,
): Promise<MainEnd | undefined> {
  try {
    const of = (name: string) => manager.property(unit, "Service", name).then(Number);
    const [code, active] = await Promise.all([
      of("ExecMainCode"),
      manager.property(unit, "Unit", "ActiveState"),
    ]);
    if (code !== 0) return mainEndBy(code, await of("ExecMainStatus"));
    const isGone = active === "inactive" || active === "failed";
    return isGone ? { code: undefined, signal: undefined } : undefined;
  } catch (error) {
    // Somebody else has stopped it.
    if (isNoSuchUnit(error)) return { code: undefined, signal: undefined };
    throw error;
  }
}
