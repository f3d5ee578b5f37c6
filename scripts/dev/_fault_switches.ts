import type { ControlPlane, Fault } from "./control_plane.ts";
import type { FaultsNews } from "./page/messages.ts";

/** The paths of the contract; the page's own are on another server. */
const EVERYTHING = "/";

/** The faults that a person switches on and off to see what the agent does about them. */
export class FaultSwitches {
  readonly #controlPlane: ControlPlane;
  #latencyMs = 0;
  #errorPercent = 0;
  #outage = false;
  #latency: Fault | undefined;
  #errors: Fault | undefined;

  /** All are off. */
  constructor(controlPlane: ControlPlane) {
    this.#controlPlane = controlPlane;
  }

  /** How the switches stand. */
  get state(): FaultsNews {
    return {
      type: "faults",
      latencyMs: this.#latencyMs,
      errorPercent: this.#errorPercent,
      outage: this.#outage,
    };
  }

  /** Every request takes so much longer; 0 ends it. */
  latency(ms: number): void {
    this.#latency?.remove();
    this.#latencyMs = ms;
    this.#latency = ms > 0
      ? this.#controlPlane.fault({ path: EVERYTHING, latencyMs: ms })
      : undefined;
  }

  /** So many percent of the requests are answered with 503; 0 ends it. */
  errors(percent: number): void {
    this.#errors?.remove();
    this.#errorPercent = percent;
    const when = () => Math.random() * 100 < percent;
    this.#errors = percent > 0
      ? this.#controlPlane.fault({ path: EVERYTHING, when, status: 503 })
      : undefined;
  }

  /** The control plane goes down, or comes up again with all it knew. */
  async outage(on: boolean): Promise<void> {
    this.#outage = on;
    if (on) {
      this.#controlPlane.realtime.dropSockets();
      await this.#controlPlane.stop();
    } else await this.#controlPlane.start();
  }

  /** Cuts the realtime connections: the agent is to come back by itself. */
  dropSocket(): void {
    this.#controlPlane.realtime.dropSockets();
  }
}
