import { delay } from "@std/async";
import { dirname, join } from "@std/path";
import type { Config, ReadEnv, RunningConfig } from "../config/mod.ts";
import { AgentApi, type Credentials } from "../control_plane/agent_api.ts";
import { connect } from "../control_plane/connect.ts";
import type { HttpTransport } from "../control_plane/http.ts";
import type { HostFacts } from "../system/host_facts.ts";
import type { Task } from "../control_plane/schemas.ts";
import { lookUpAccounts } from "../privileges/accounts.ts";
import { type Privileges, readLaunches } from "../privileges/privileges.ts";
import { RootAccess } from "../privileges/root_access.ts";
import type { Logger } from "../system/logger.ts";
import { isolateTasks, type TaskIsolation } from "../hosts/task_isolation.ts";
import { LogMemory } from "../logs/spool.ts";
import type { HealthMonitor } from "../health/health_monitor.ts";
import { LogThrottle } from "../system/log_throttle.ts";
import { claimTasks } from "../tasks/claim_loop.ts";
import { TaskJournal } from "../tasks/journal.ts";
import { SWEEP_EVERY_MS } from "../tasks/journal_sweep.ts";
import { TaskManager } from "../tasks/task_manager.ts";
import type { TaskType } from "../tasks/task_type.ts";
import { TASK_TYPES } from "./task_types.ts";
import { loadAddonWithin } from "../terminal/addon.ts";
import { agentUpdate } from "../update/agent_update.ts";
import { closeUpdate, trialEnds } from "../update/update_unit.ts";
import { INSTALLED } from "../system/paths.ts";
import type { UnitTerminals } from "../terminal/unit_terminals.ts";
import { isLockedDown } from "../system/sandbox.ts";
import { runTool } from "../system/tool.ts";
import { settlesWithin } from "../system/deadline.ts";
import { sendHeartbeats } from "./heartbeat_loop.ts";
import { guardProcess } from "./uncaught_errors.ts";
import type { RealtimeServices, RealtimeServicesOptions } from "./realtime_services.ts";
import { locate } from "../identity/location.ts";
import { LocationReport } from "../identity/location_report.ts";
import { restoreIdentity } from "../identity/identity_file.ts";
import { giveBackMemory } from "../system/give_back_memory.ts";
import { messageOf, UserError } from "../system/user_error.ts";
import { type StateLock, watchState } from "./instance_lock.ts";
import { isRestart } from "./is_restart.ts";
import { listenToSignals, type SignalHandlers, untilStopped } from "./agent_signals.ts";

/**
 * How long ended tasks may take to be reported after shutdown_timeout, in milliseconds: the grace
 * of their processes (apt has 30 s) and the delivery of their lines. What is left is reported by
 * the next start.
 */
const REPORT_MS = 45_000;

/** How long work that cannot go on without this agent may take before a restart, in milliseconds. */
const HAND_ON_GRACE_MS = 1_500;
/** How long all tasks together may take until the next agent can have them, in milliseconds. */
const HAND_ON_MS = 3_000;

/** How long the log may take when the agent leaves at once, in milliseconds. */
const LAST_WORDS_MS = 200;

/** What an agent is started with. */
export interface AgentOptions {
  /** The configuration and where it came from. */
  config: RunningConfig;
  /** Who this node is. */
  identity: Credentials;
  /** What is told of the machine. */
  facts: HostFacts;
  /** The agent's log. */
  logger: Logger;
  /** Reads the environment as it was at the start. */
  env: ReadEnv;
  /** Are told what happens. */
  health: HealthMonitor;
  /** Called once the agent serves. */
  onServing: () => Promise<void>;
  /** The state folder, which is this agent's. */
  state: StateLock;
  /** What makes the calls of this node. */
  Api?: typeof AgentApi | undefined;
}

/**
 * Runs the agent until it is told to stop: heartbeats, claims, and the tasks that they bring.
 * SIGTERM and SIGINT let running tasks finish within shutdown_timeout; SIGHUP reads the
 * configuration again.
 *
 * @returns the exit code of the process.
 * @throws {UserError} when the CA file is unusable, `run_as_user` cannot be obeyed, or the state
 * folder was lost; the tasks have been ended and reported then.
 */
export async function runAgent(options: AgentOptions): Promise<number> {
  const { identity, logger } = options;
  const { started } = options.config;
  const { config } = started;
  const folder = dirname(config.stateFile);
  const launches = await untilStopped((signal) =>
    readLaunches(config.runAsUser, logger, (name) => lookUpAccounts(name, { signal }))
  );
  if (!launches) {
    logger.info("agent stopped before its start was complete");
    return 0;
  }
  using transport = await connect(started);
  const rootAccess = await RootAccess.open(join(folder, "root_access.json"), logger);
  const privileges: Privileges = {
    ...launches,
    allows: (scope, signal) => rootAccess.allowsNow(scope, signal),
  };
  using isolation = await isolateTasks({
    ...{ wanted: config.taskIsolation, env: options.env, logger },
    limits: () => options.config.now,
  });
  if (!isolation.outlivesAgent && isLockedDown()) {
    const why = isolation.why ?? "they are children of the agent";
    logger.error("tasks are bound by the sandbox of the service", { why });
    options.health.lockedDown(why);
  }
  const { journal, unfinished } = await TaskJournal.open(
    join(folder, "tasks"),
    logger,
    (why) => options.health.diskRefused(why),
  );
  options.health.onWritable = () => void journal.writeRefused();

  const agent = new Agent(options, { transport, journal, privileges, rootAccess, isolation });
  using _signals = listenToSignals(agent);
  using _guard = guardProcess(logger);
  using _watch = watchState(options.state, (problem) => agent.onStateLost(problem), logger);
  using _memory = giveBackMemory(Deno.execPath());
  const { agentVersion: version } = options.facts;
  const { apiUrl: api } = config;
  logger.info("agent started", { version, nodeId: identity.nodeId, api, pid: Deno.pid });
  if (config.realtimeEnabled) {
    await loadAddonWithin(options.env("TMPDIR") ?? join(folder, "tmp"), logger);
  }
  agent.tasks.recover(unfinished);
  await agent.serve();
  await rootAccess.kept();
  if (agent.lost !== undefined) {
    // Whoever starts the agent again finds the machine enrolled.
    await restoreIdentity(config.stateFile, identity, logger);
    throw new UserError(`The agent has stopped, because ${agent.lost}: start it again.`);
  }
  logger.info("agent stopped");
  return 0;
}

/** What the agent has opened at its start. */
interface AgentParts {
  transport: HttpTransport;
  journal: TaskJournal;
  privileges: Privileges;
  rootAccess: RootAccess;
  isolation: TaskIsolation;
}

/** The services of a running agent, and what signals do to them. */
class Agent implements SignalHandlers {
  readonly tasks: TaskManager;
  readonly #options: AgentOptions;
  readonly #parts: AgentParts;
  readonly #api: AgentApi;
  readonly #stopping = new AbortController();
  /** Why the state folder is not this agent's any more. */
  lost: string | undefined;
  /** Whether another agent is to come at once: known once this one is told to stop. */
  #isRestart: Promise<boolean> = Promise.resolve(false);
  #realtimeServices: RealtimeServices | undefined;

  constructor(options: AgentOptions, parts: AgentParts) {
    this.#options = options;
    this.#parts = parts;
    const { identity, health, Api = AgentApi } = options;
    const { transport, rootAccess, isolation } = parts;
    const { enrollmentToken } = this.#config;
    transport.reachability.spreadMs = () => this.#config.reconnectSpreadMs;
    this.#api = new Api(transport, identity, () => this.#config.requestTimeoutMs);
    this.tasks = new TaskManager({
      journal: parts.journal,
      privileges: parts.privileges,
      logger: options.logger,
      api: this.#api,
      host: isolation.host,
      types: new Map([...TASK_TYPES, ["agent.update", this.#agentUpdate()]]),
      secrets: [identity.agentToken, ...enrollmentToken ? [enrollmentToken] : []],
      defaultLimitMs: () => this.#config.taskTimeoutMs,
      maxTasks: () => this.#config.maxTasks,
      logMemory: new LogMemory(() => this.#config.logMemoryLimitBytes),
      onTaken: () => health.onChange(),
      onEnded: (status) => health.taskEnded(status),
    });
    health.ask({
      nodeId: identity.nodeId,
      tasks: () => this.tasks.now,
      taskUsage: () => this.tasks.usage(),
      realtime: () => this.#realtimeServices?.realtime,
      terminals: () => this.#realtimeServices?.terminals ?? 0,
      rootAccess: () => rootAccess.profile,
      isolation: {
        tasks: isolation.outlivesAgent ? "unit" : "child",
        ...isolation.why === undefined ? {} : { why: isolation.why },
      },
    });
  }

  #agentUpdate(): TaskType {
    const { logger } = this.#options;
    return agentUpdate({
      api: this.#api,
      config: () => this.#config,
      machine: { places: INSTALLED, run: runTool },
      stateFolder: dirname(this.#config.stateFile),
      warn: (problem) => logger.warn("update report was refused", { problem }),
      onStarted: () => void this.#closeUpdate({ started: true }),
    });
  }

  async #closeUpdate({ started = false } = {}): Promise<void> {
    const { logger } = this.#options;
    await closeUpdate({
      api: this.#api,
      stateFolder: dirname(this.#config.stateFile),
      run: runTool,
      started,
      signal: this.#stopping.signal,
      warn: (problem) => logger.warn("update failed", { problem }),
    }).catch((error) => logger.warn("update state cannot be saved", { error: messageOf(error) }));
  }

  onStop(signal: string): void {
    this.#isRestart = isRestart(signal, this.#parts.isolation.manager);
    this.#options.logger.info("stopping", { signal, tasks: this.tasks.count });
    this.#options.health.enter("stopping");
    this.tasks.dropPushed();
    this.#stopping.abort();
  }

  /** Nothing that it promises outlives it now: it ends its tasks, reports them and leaves. */
  onStateLost(problem: string): void {
    this.lost = problem;
    this.#options.logger.error("state folder is lost", { problem, tasks: this.tasks.count });
    this.onStop("lost state folder");
  }

  async onStopNow(): Promise<void> {
    this.#options.logger.warn("stopping at once");
    // Before the kills: what they end is not to be seen, and reported, by this agent.
    await this.#options.logger.flush(LAST_WORDS_MS);
    this.tasks.killAllNow();
    this.#realtimeServices?.killTerminalsNow();
    Deno.exit(1);
  }

  async onReload(): Promise<void> {
    const { config, env, identity, logger } = this.#options;
    try {
      const warnings = await config.reload(env, identity);
      for (const warning of warnings) logger.debug("configuration warning", { warning });
      const { needsRestart } = config;
      logger.setLevel(config.now.logLevel);
      logger.info("configuration reloaded", needsRestart.length > 0 ? { needsRestart } : {});
    } catch (error) {
      logger.error("configuration could not be reloaded", { error: messageOf(error) });
    }
  }

  get #config(): Config {
    return this.#options.config.now;
  }

  /** Runs all services until told to stop, then drains them. */
  async serve(): Promise<void> {
    const { logger, facts, health, onServing } = this.#options;
    const { rootAccess } = this.#parts;
    const signal = this.#stopping.signal;
    const stopHeartbeats = new AbortController();
    const throttle = new LogThrottle();
    const trial = trialEnds({ stateFolder: dirname(this.#config.stateFile), run: runTool, signal });
    const heartbeats = trial.then(async () => {
      if (signal.aborted) return;
      await sendHeartbeats({
        api: this.#api,
        throttle,
        logger,
        facts,
        stats: health.heartbeats,
        intervalMs: () => this.#config.heartbeatIntervalMs,
        signal: stopHeartbeats.signal,
      });
    });
    void this.#sweepDaily(signal);
    void this.#closeUpdate();
    const claims = claimTasks({
      api: this.#api,
      throttle,
      logger,
      stats: health.claims,
      waitMs: () => this.#config.taskPollIntervalMs,
      tasks: this.tasks,
      onRootAccess: (wish) => rootAccess.applyClaimed(wish),
      rootAccess: () => rootAccess.reportForClaim(),
      signal,
    });
    await onServing();
    await trial;
    if (!this.#config.realtimeEnabled) {
      logger.warn("realtime is disabled", { lost: "terminals, metrics, pushed tasks" });
      (await this.#lastingTerminals({ hasSessions: false }))?.[Symbol.dispose]();
    } else if (!signal.aborted) this.#realtimeServices = await this.#startRealtimeServices();
    // Heartbeats end before claims only by an error: the agent is not to go on without them.
    await Promise.race([claims, heartbeats]);
    await Promise.all([this.#drainTasks(), this.#endTerminals()]);
    await this.#realtimeServices?.[Symbol.asyncDispose]();
    stopHeartbeats.abort();
    await heartbeats;
  }

  async #sweepDaily(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const isAtWork = (taskId: string) => this.tasks.has(taskId);
      await this.#parts.journal.sweep(isAtWork);
      await this.#parts.isolation.host.sweep(isAtWork).catch((error) =>
        this.#options.logger.warn("units of tasks cannot be swept", { error: messageOf(error) })
      );
      await delay(SWEEP_EVERY_MS, { signal }).catch(() => {});
    }
  }

  #takePushed(task: Task): void {
    this.#api.pushed(task);
    if (this.#stopping.signal.aborted) return;
    this.tasks.takePushed(task);
  }

  /** The realtime part is the larger half of the program: it is loaded when all else is running. */
  async #startRealtimeServices(): Promise<RealtimeServices> {
    const { OpenSessions } = await import("../terminal/open_sessions.ts");
    const { identity, facts, logger } = this.#options;
    const { privileges, rootAccess, transport } = this.#parts;
    const folder = dirname(this.#config.stateFile);
    const options: RealtimeServicesOptions = {
      identity,
      facts,
      privileges,
      rootAccess,
      logger,
      unitTerminals: await this.#lastingTerminals({ hasSessions: true }),
      unitTerminalsOnly: this.#parts.isolation.outlivesAgent && isLockedDown(),
      openTerminals: await OpenSessions.open(join(folder, "open_terminals.json")),
      location: await LocationReport.open({
        path: join(folder, "location_refused.json"),
        apiUrl: transport.apiUrl,
        find: () => locate(this.#config),
        logger,
      }),
      network: transport,
      config: () => this.#config,
      onTask: (task) => this.#takePushed(task),
    };
    const { RealtimeServices } = await import("./realtime_services.ts");
    return new RealtimeServices(options);
  }

  /** Terminals that were left by an earlier agent may be there however this one works. */
  async #lastingTerminals(
    { hasSessions }: { hasSessions: boolean },
  ): Promise<UnitTerminals | undefined> {
    const { env, logger } = this.#options;
    const { isolation } = this.#parts;
    if (!isolation.manager && !env("LISTEN_FDS")) return undefined;
    const { lastingTerminals } = await import("./lasting_terminals.ts");
    return await lastingTerminals({ isolation, env, hasSessions, logger });
  }

  /** Ends all terminals, but for those that the agent to come takes up. */
  async #endTerminals(): Promise<void> {
    if (await this.#isRestart) this.#realtimeServices?.leaveTerminals();
    await this.#realtimeServices?.stopTerminals();
  }

  /** Lets tasks finish, then ends them, then lets them be reported; each for a limited time. */
  async #drainTasks(): Promise<void> {
    if (await this.#isRestart && this.#parts.isolation.outlivesAgent) {
      await this.tasks.leaveAll(HAND_ON_GRACE_MS);
      return void await settlesWithin(this.tasks.idle(), HAND_ON_MS);
    }
    if (await settlesWithin(this.tasks.idle(), this.#config.shutdownTimeoutMs)) return;
    this.tasks.endAll({ kind: "stopping" });
    await settlesWithin(this.tasks.idle(), REPORT_MS);
  }
}
