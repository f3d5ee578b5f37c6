import { delay } from "@std/async";
import type { ServiceManager } from "../system/service_manager.ts";
import { hasNone } from "./end_unit.ts";
import { UnitOutput } from "./unit_output.ts";

/** How often it is looked whether those who live on have gone, in milliseconds. */
const LOOK_EVERY_MS = 10_000;
/** The pause behind each piece of what nobody reads, in milliseconds: one can print without end. */
const DRAIN_PAUSE_MS = 10;

/** What is needed to remove units. */
export interface UnitLeftoversOptions {
  /** The service manager. */
  manager: Pick<ServiceManager, "property" | "processes" | "queueStop">;
  /** The folder of a unit's FIFOs; without it they have none. */
  folderOf?: (unit: string) => string;
  /** How often it is looked whether those who live on have gone, in milliseconds. */
  lookEveryMs?: number | undefined;
}

/** Units whose programs have ended: each stays as long as somebody lives on in it. */
export class UnitLeftovers {
  readonly #options: UnitLeftoversOptions;
  /** What is printed in them: it is read, and kept nowhere. */
  readonly #drained = new Map<string, { output: UnitOutput; over: AbortController }>();
  readonly #later = new Set<string>();
  /** Those of which it is known that nobody lives on in them. */
  readonly #empty = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** There are none before the first is removed. */
  constructor(options: UnitLeftoversOptions) {
    this.#options = options;
  }

  /**
   * Removes a unit, now or when the last of those has gone who live on in it. Its stop is not waited
   * for: while the agent's own unit is stopped, that comes first.
   */
  async remove(unit: string): Promise<void> {
    const { manager, folderOf } = this.#options;
    if (!this.#empty.has(unit) && !await hasNone(manager, unit)) {
      this.drain(unit);
      return this.#removeLater(unit);
    }
    await this.#stopDraining(unit);
    if (folderOf) await Deno.remove(folderOf(unit), { recursive: true }).catch(() => {});
    await manager.queueStop(unit);
    this.#empty.delete(unit);
  }

  /** Nobody lives on in a unit, as somebody has seen: it need not be looked again. */
  areGone(unit: string): void {
    this.#empty.add(unit);
  }

  /** The same for a unit that nobody waits for: what fails is tried again. */
  removeSoon(unit: string): void {
    void this.remove(unit).catch(() => this.#removeLater(unit));
  }

  /** Reads what is printed in a unit: else who prints would wait for ever once its pipe is full. */
  drain(unit: string): void {
    const { folderOf } = this.#options;
    if (!folderOf || this.#drained.has(unit)) return;
    try {
      const output = new UnitOutput(folderOf(unit), undefined);
      const over = new AbortController();
      this.#drained.set(unit, { output, over });
      const { signal } = over;
      const read = async () => {
        for await (const _ of output) await delay(DRAIN_PAUSE_MS, { signal }).catch(() => {});
      };
      void read().catch(() => {});
    } catch {
      // Its pipes are gone: there is nothing to be read.
    }
  }

  async #stopDraining(unit: string): Promise<void> {
    const drained = this.#drained.get(unit);
    this.#drained.delete(unit);
    drained?.output.leave();
    drained?.over.abort();
    await drained?.output.ended;
  }

  /** systemd says nothing when the last process of such a unit goes. */
  #removeLater(unit: string): void {
    this.#later.add(unit);
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const units = [...this.#later];
      this.#later.clear();
      for (const each of units) this.removeSoon(each);
    }, this.#options.lookEveryMs ?? LOOK_EVERY_MS);
    Deno.unrefTimer(this.#timer);
  }
}
