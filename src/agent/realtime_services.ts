import type { Config } from "../config/mod.ts";
import type { Credentials } from "../control_plane/agent_api.ts";
import type { Network } from "../control_plane/network.ts";
import type { LocationReport } from "../identity/location_report.ts";
import type { HostFacts } from "../system/host_facts.ts";
import type { Task } from "../control_plane/schemas.ts";
import type { Privileges } from "../privileges/privileges.ts";
import type { RootAccess } from "../privileges/root_access.ts";
import { RealtimeSession } from "../realtime/realtime_session.ts";
import type { RealtimeSnapshot } from "../realtime/realtime_link.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";
import { TelemetrySampler } from "../telemetry/sampler.ts";
import { SnapshotReader } from "../telemetry/snapshot.ts";
import { TerminalManager } from "../terminal/manager.ts";
import type { OpenSessions } from "../terminal/open_sessions.ts";
import type { UnitTerminals } from "../terminal/unit_terminals.ts";

/** What the realtime services work with. */
export interface RealtimeServicesOptions {
  /** The way to the control plane, shared with HTTP. */
  network: Network;
  /** The configuration as it is now. */
  config: () => Config;
  /** Who this node is. */
  identity: Credentials;
  /** What is told of the machine. */
  facts: HostFacts;
  /** Who runs what. */
  privileges: Privileges;
  /** Gets the root access that the control plane wishes, and tells what is in force. */
  rootAccess: RootAccess;
  /** Keeps which terminals are open. */
  openTerminals: OpenSessions;
  /** Where terminals outlive the agent, if they do. */
  unitTerminals: UnitTerminals | undefined;
  /** Whether a terminal without a unit is refused: the sandbox of the service would bind it. */
  unitTerminalsOnly: boolean;
  /** Where this machine is, for a control plane that takes it. */
  location: LocationReport;
  /** Gets each task that is dispatched in realtime. */
  onTask: (task: Task) => unknown;
  /** The agent's log. */
  logger: Logger;
}

/** What goes through the realtime session: telemetry, terminals, dispatched tasks. */
export class RealtimeServices implements AsyncDisposable {
  readonly #session: RealtimeSession;
  readonly #terminals: TerminalManager;
  readonly #sampling: Promise<void>;
  readonly #openTerminals: OpenSessions;
  readonly #stopSampling = new AbortController();

  /** Connects at once, and again whenever the session ends. */
  constructor(options: RealtimeServicesOptions) {
    const { config, privileges, rootAccess, logger } = options;
    this.#openTerminals = options.openTerminals;
    this.#session = new RealtimeSession({
      network: options.network,
      config,
      identity: options.identity,
      facts: options.facts,
      location: options.location,
      logger,
      rootAccess: () => rootAccess.report,
      isInUse: () => this.#terminals.count > 0,
      handlers: {
        onTerminal: (event, payload) => this.#terminals.handle(event, payload),
        onDispatch: options.onTask,
        onRootAccess: (wish) => rootAccess.apply(wish),
      },
      onReady: () => {
        rootAccess.heard();
        this.#terminals.answerForLeft();
        // What was allowed before a restart may not be any more.
        this.#terminals.reauthorize();
        sampler.sampleNow();
      },
    });
    this.#terminals = new TerminalManager({
      link: this.#session,
      open: options.openTerminals,
      place: options.unitTerminals,
      unitsOnly: options.unitTerminalsOnly,
      authorize: ({ runAsRoot }) => runAsRoot ? rootAccess.allows("terminal") : undefined,
      launch: ({ runAsRoot }) => runAsRoot ? privileges.root : privileges.unprivileged,
      logger,
    });
    rootAccess.onApplied = () => {
      this.#terminals.reauthorize();
      // Only what is kept is reported.
      void rootAccess.kept().then(() => this.#session.authenticateAgain());
    };
    const reader = new SnapshotReader({ logger });
    const sampler = new TelemetrySampler({
      read: (signal) => reader.read(signal),
      link: this.#session,
      intervalMs: () => config().metricsIntervalMs,
    });
    this.#sampling = sampler.run(this.#stopSampling.signal).catch((error) => {
      logger.error("telemetry has ended", { error: messageOf(error) });
    });
  }

  /** The session as it is now. */
  get realtime(): RealtimeSnapshot {
    return this.#session.now;
  }

  /** How many terminals are open. */
  get terminals(): number {
    return this.#terminals.count;
  }

  /** Kills all that runs in terminals: the agent must leave at once. */
  killTerminalsNow(): void {
    this.#terminals.killAllNow();
  }

  /** Leaves the terminals that outlive the agent, which is about to be started anew, to the next one. */
  leaveTerminals(): void {
    this.#terminals.leaveAll();
  }

  /** Ends all terminals; resolves when their processes are gone and their operators know. */
  async stopTerminals(): Promise<void> {
    await this.#terminals.stopAll("agent is stopping");
  }

  /** Ends everything, the session last. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopTerminals();
    await this.#openTerminals.kept();
    this.#stopSampling.abort();
    await this.#sampling;
    this.#terminals.haltLeft();
    await this.#session[Symbol.asyncDispose]();
    this.#terminals.letGo();
  }
}
