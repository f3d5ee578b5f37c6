import { Reachability } from "../control_plane/reachability.ts";
import { createClient } from "../control_plane/network.ts";
import { Logger } from "../system/logger.ts";
import type { RealtimeOptions } from "./realtime_options.ts";
import { RealtimeSession } from "./realtime_session.ts";
import { IDENTITY } from "./_test_server.ts";

/** One line of the log. */
export interface LogEvent {
  /** `debug` to `error`. */
  level: string;
  /** Its fixed message. */
  msg: string;
  /** What varies. */
  [field: string]: unknown;
}

/** A session with its client, its log and what its handlers got. */
export class TestSession implements AsyncDisposable {
  /** The session's own. */
  readonly client: Deno.HttpClient = createClient();
  /** The session's own; a turn lies in the middle of what it is drawn from. */
  readonly reachability: Reachability = new Reachability(() => 0.5);
  /** What is tested. */
  readonly session: RealtimeSession;
  /** Everything it has logged. */
  readonly log: LogEvent[] = [];
  /** What the handlers got, as name and value. */
  readonly handled: [string, unknown][] = [];
  /** May be changed while the session runs. */
  readonly config = {
    // With `random` below: hardly a pause.
    realtimeBackoffJitter: 1,
    realtimeNamespace: "/agent-realtime",
    realtimePath: "/socket.io/",
    realtimePingIntervalMs: 60_000,
    realtimeQueueSize: 4,
  };
  #waiting: { fits: (event: LogEvent) => boolean; resolve: (event: LogEvent) => void }[] = [];

  /** Starts one with other settings than the usual. */
  constructor(
    apiUrl: string,
    config: Partial<TestSession["config"]> = {},
    options: Partial<RealtimeOptions> = {},
  ) {
    Object.assign(this.config, config);
    this.session = new RealtimeSession({
      network: { apiUrl, client: this.client, reachability: this.reachability },
      config: () => this.config,
      identity: IDENTITY,
      facts: {
        os: "debian",
        arch: "amd64",
        agentVersion: "2.0.0",
        platformVersion: "12",
        kernelVersion: "6.1.0",
      },
      handlers: {
        onTerminal: (event, payload) => this.handled.push([event, payload]),
        onDispatch: (task) => this.handled.push(["dispatch", task]),
        onRootAccess: (wish) => this.handled.push(["root", wish]),
      },
      logger: new Logger({ level: "debug", write: (line) => this.#onLog(JSON.parse(line)) }),
      random: () => 0.99,
      ...options,
    });
  }

  /** Resolves with the first event of the log, past or to come, that fits. */
  logged(msg: string, fits: (event: LogEvent) => boolean = () => true): Promise<LogEvent> {
    const wanted = (event: LogEvent) => event.msg === msg && fits(event);
    const past = this.log.find(wanted);
    if (past) return Promise.resolve(past);
    return new Promise((resolve) => this.#waiting.push({ fits: wanted, resolve }));
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.session[Symbol.asyncDispose]();
    this.client.close();
  }

  #onLog(event: LogEvent): void {
    this.log.push(event);
    this.#waiting = this.#waiting.filter(({ fits, resolve }) => {
      if (!fits(event)) return true;
      resolve(event);
      return false;
    });
  }
}
