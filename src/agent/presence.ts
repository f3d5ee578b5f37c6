import type { LoadedConfig, ReadEnv } from "../config/mod.ts";
import { serveSocket } from "../local/local_server.ts";
import { serveMetrics } from "../local/metrics_server.ts";
import { ownSocketPath } from "../local/socket_path.ts";
import type { Vitals } from "../local/vitals.ts";
import type { Logger } from "../system/logger.ts";
import { type Notifier, openNotifier } from "../system/notify.ts";
import { messageOf } from "../system/user_error.ts";
import { Watchdog, watchdogIntervalMs } from "./watchdog.ts";

/** What a {@linkcode Presence} works with. */
export interface PresenceOptions {
  /** How the agent is. */
  vitals: Vitals;
  /** The configuration that the agent was started with. */
  loaded: LoadedConfig;
  /** Reads the environment as it was at the start. */
  env: ReadEnv;
  /** The agent's log. */
  logger: Logger;
}

/**
 * The running agent as its machine sees it: the socket that `status` asks, the metrics, and what the
 * service manager is told. Nothing of it is needed for tasks: what fails is warned of.
 */
export class Presence implements AsyncDisposable {
  readonly #options: PresenceOptions;
  readonly #held = new AsyncDisposableStack();
  #notifier: Notifier | undefined;
  #told = "";

  private constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** Serves, and says to the service manager that the agent is ready. Never throws. */
  static async show(options: PresenceOptions): Promise<Presence> {
    const presence = new Presence(options);
    await presence.#serveSocket();
    presence.#serveMetrics();
    presence.#notify();
    return presence;
  }

  /** Takes all of it back; no client holds that up. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { vitals } = this.#options;
    if (vitals.phase !== "stopping") vitals.enter("stopping");
    vitals.onChange = () => {};
    await this.#held.disposeAsync();
  }

  async #serveSocket(): Promise<void> {
    const { vitals, loaded, env, logger } = this.#options;
    const path = ownSocketPath(env, loaded.config.stateFile);
    try {
      this.#held.use(await serveSocket(path, vitals));
    } catch (error) {
      logger.warn("status cannot be served", { socket: path, error: messageOf(error) });
    }
  }

  #serveMetrics(): void {
    const { vitals, loaded, logger } = this.#options;
    const address = loaded.config.metricsListen;
    if (address === undefined) return;
    try {
      const { url } = this.#held.use(serveMetrics(address, vitals));
      logger.info("metrics are served", { url });
    } catch (error) {
      logger.warn("metrics cannot be served", { address, error: messageOf(error) });
    }
  }

  #notify(): void {
    const { vitals, env, logger } = this.#options;
    const notifier = openNotifier(env, logger);
    if (!notifier) return;
    this.#notifier = this.#held.use(notifier);
    notifier.tell("READY=1");
    vitals.onChange = () => this.#tellState();
    this.#tellState();
    const intervalMs = watchdogIntervalMs(env);
    if (intervalMs === undefined) return;
    const feed = () => notifier.tell("WATCHDOG=1");
    this.#held.use(new Watchdog({ intervalMs, ailment: () => vitals.ailment, feed, logger }));
  }

  /** Says how the agent is, where that has changed. */
  #tellState(): void {
    const { vitals } = this.#options;
    const stopping = vitals.phase === "stopping" ? "STOPPING=1\n" : "";
    const state = `${stopping}STATUS=${vitals.sentence}`;
    if (state !== this.#told) this.#notifier?.tell(state);
    this.#told = state;
  }
}
