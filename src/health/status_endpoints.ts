import { dirname, resolve } from "@std/path";
import type { LoadedConfig, ReadEnv } from "../config/mod.ts";
import { serveSocket } from "./socket_server.ts";
import { serveMetrics } from "./metrics_server.ts";
import { ownSocketPath } from "./status_client.ts";
import type { HealthMonitor } from "./health_monitor.ts";
import type { Logger } from "../system/logger.ts";
import { type Notifier, openNotifier } from "../system/notify.ts";
import { messageOf } from "../system/user_error.ts";
import { watchDisk } from "./disk_watch.ts";
import type { Health } from "./verdict.ts";
import { Watchdog, watchdogIntervalMs } from "./watchdog.ts";

/** The pauses between two tries to say that the agent is ready, in milliseconds. */
const [FIRST_PAUSE_MS, MAX_PAUSE_MS] = [100, 10_000];

/** What a {@linkcode StatusEndpoints} works with. */
export interface StatusEndpointsOptions {
  /** How the agent is. */
  health: HealthMonitor;
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
export class StatusEndpoints implements AsyncDisposable {
  readonly #options: StatusEndpointsOptions;
  readonly #held = new AsyncDisposableStack();
  #notifier: Notifier | undefined;
  /** The next try to say that the agent is ready. */
  #again: ReturnType<typeof setTimeout> | undefined;
  #told = "";
  #logged: Health["code"] = "healthy";

  private constructor(options: StatusEndpointsOptions) {
    this.#options = options;
  }

  /** Serves, and says to the service manager that the agent is ready. Never throws. */
  static async show(options: StatusEndpointsOptions): Promise<StatusEndpoints> {
    const endpoints = new StatusEndpoints(options);
    await endpoints.#serveSocket();
    endpoints.#serveMetrics();
    endpoints.#notify();
    endpoints.#watchHealth();
    return endpoints;
  }

  /** Takes all of it back; no client holds that up. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { health } = this.#options;
    if (health.phase !== "stopping") health.enter("stopping");
    health.onChange = () => {};
    await this.#held.disposeAsync();
  }

  async #serveSocket(): Promise<void> {
    const { health, loaded, env, logger } = this.#options;
    const path = ownSocketPath(env, loaded.config.stateFile);
    try {
      this.#held.use(await serveSocket(path, health));
    } catch (error) {
      logger.warn("status cannot be served", { socket: path, error: messageOf(error) });
    }
  }

  #serveMetrics(): void {
    const { health, loaded, logger } = this.#options;
    const address = loaded.config.metricsListen;
    if (address === undefined) return;
    try {
      const { url } = this.#held.use(serveMetrics(address, health));
      logger.info("metrics are served", { url });
    } catch (error) {
      logger.warn("metrics cannot be served", { address, error: messageOf(error) });
    }
  }

  #notify(): void {
    const { health, env, logger } = this.#options;
    const notifier = openNotifier(env, logger);
    if (!notifier) return;
    this.#notifier = this.#held.use(notifier);
    this.#tellReady(notifier);
    this.#held.defer(() => clearTimeout(this.#again));
    const intervalMs = watchdogIntervalMs(env);
    if (intervalMs === undefined) return;
    const feed = () => notifier.tell("WATCHDOG=1");
    this.#held.use(new Watchdog({ intervalMs, notAlive: () => health.notAlive, feed, logger }));
  }

  /**
   * Says it until it is taken, as it is not while the service manager executes itself anew: that ends
   * and starts again whoever is not ready in time.
   */
  #tellReady(notifier: Notifier, pauseMs = FIRST_PAUSE_MS): void {
    if (notifier.tell("READY=1")) return this.#tellState();
    const again = () => this.#tellReady(notifier, Math.min(2 * pauseMs, MAX_PAUSE_MS));
    this.#again = setTimeout(again, pauseMs);
    Deno.unrefTimer(this.#again);
  }

  #watchHealth(): void {
    const { health, loaded } = this.#options;
    health.onChange = () => {
      this.#tellState();
      this.#logHealth();
    };
    const folder = dirname(resolve(loaded.config.stateFile));
    this.#held.use(watchDisk(folder, health));
  }

  /** Says in the log that the verdict is another; what passes by itself is no news. */
  #logHealth(): void {
    const { health: { health }, logger } = this.#options;
    const { state, code, what = "", fix } = health;
    if (code === this.#logged || code === "starting" || code === "stopping") return;
    this.#logged = code;
    if (state === "healthy") logger.info("agent is healthy");
    else if (state === "degraded") logger.warn("agent is degraded", { code, what, fix });
    else logger.error("agent is unhealthy", { code, what, fix });
  }

  /** Says how the agent is, where that has changed. */
  #tellState(): void {
    const { health } = this.#options;
    const stopping = health.phase === "stopping" ? "STOPPING=1\n" : "";
    const state = `${stopping}STATUS=${health.sentence}`;
    if (state !== this.#told && this.#notifier?.tell(state)) this.#told = state;
  }
}
