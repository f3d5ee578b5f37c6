import { dirname, join } from "@std/path";
import { setTimeout as delay } from "@std/async";
import { type Config, loadConfig, type LoadedConfig, type ReadEnv } from "../config/mod.ts";
import { AgentApi, type Credentials } from "../control_plane/agent_api.ts";
import { connect } from "../control_plane/connect.ts";
import type { HostFacts, Task } from "../control_plane/schemas.ts";
import { type Privileges, readLaunches } from "../privileges/privileges.ts";
import { RootAccess } from "../privileges/root_access.ts";
import type { Logger } from "../system/logger.ts";
import { OnceAMinute } from "../system/once_a_minute.ts";
import { messageOf } from "../system/user_error.ts";
import { claimTasks } from "../tasks/claim_loop.ts";
import { TaskJournal } from "../tasks/journal.ts";
import { TaskManager } from "../tasks/task_manager.ts";
import { TASK_TYPES } from "../tasks/task_types.ts";
import type { Live, LiveOptions } from "./live.ts";
import { sendHeartbeats } from "./heartbeat_loop.ts";
import { lockState } from "./instance_lock.ts";
import { listenToSignals } from "./signals.ts";

/**
 * How long ended tasks may take to be reported after shutdown_timeout, in milliseconds: the grace
 * of their processes and the delivery of their lines. What is left is reported by the next start.
 */
const REPORT_MS = 20_000;

/** What an agent is started with. */
export interface AgentOptions {
  /** The configuration and where it came from. */
  loaded: LoadedConfig;
  /** Who this node is. */
  identity: Credentials;
  /** What is told of the machine. */
  facts: HostFacts;
  /** The agent's log. */
  logger: Logger;
  /** Reads the environment as it was at the start. */
  env: ReadEnv;
}

/**
 * Runs the agent until it is told to stop: heartbeats, claims, and the tasks that they bring.
 * SIGTERM and SIGINT let running tasks finish within shutdown_timeout; SIGHUP reads the
 * configuration again.
 *
 * @returns the exit code of the process.
 * @throws {UserError} when another agent uses the same state folder, the CA file is unusable, or
 * `run_as_user` cannot be obeyed.
 */
export async function runAgent(options: AgentOptions): Promise<number> {
  const { loaded, identity, facts, logger, env } = options;
  let config: Config = loaded.config;
  const folder = dirname(config.stateFile);
  const launches = await readLaunches(config.runAsUser, logger);
  using _lock = await lockState(folder, logger);
  using transport = await connect(loaded);
  const api = new AgentApi(transport, identity, () => config.requestTimeoutMs);
  const rootAccess = await RootAccess.open(join(folder, "root_access.json"), logger);
  const privileges: Privileges = { ...launches, allows: (scope) => rootAccess.allows(scope) };
  const { journal, unfinished } = await TaskJournal.open(join(folder, "tasks"), logger);
  const tasks = new TaskManager({
    api,
    journal,
    types: TASK_TYPES,
    privileges,
    secrets: [identity.agentToken],
    defaultLimitMs: () => config.taskTimeoutMs,
    logger,
  });

  const stopClaims = new AbortController();
  const stopHeartbeats = new AbortController();
  using _signals = listenToSignals({
    onStop: (signal) => {
      logger.info("stopping", { signal, tasks: tasks.taskIds.length });
      stopClaims.abort();
    },
    onStopNow: () => {
      logger.warn("stopping at once");
      tasks.killAllNow();
      Deno.exit(1);
    },
    onReload: async () => config = await reload(loaded, env, logger) ?? config,
  });

  logger.info("agent started", {
    version: facts.agentVersion,
    nodeId: identity.nodeId,
    api: config.apiUrl,
    pid: Deno.pid,
  });
  tasks.recover(unfinished);
  const onTask = (task: Task) => !stopClaims.signal.aborted && tasks.take(task);
  const told = new OnceAMinute();
  const heartbeats = sendHeartbeats({
    api,
    told,
    facts,
    intervalMs: () => config.heartbeatIntervalMs,
    logger,
    signal: stopHeartbeats.signal,
  });
  const claims = claimTasks({
    api,
    told,
    waitMs: () => config.taskPollIntervalMs,
    onTask,
    onRootAccess: (wish) => rootAccess.apply(wish),
    rootAccess: () => rootAccess.report,
    logger,
    signal: stopClaims.signal,
  });
  const live = config.realtimeEnabled
    ? await goLive({
      network: transport,
      config: () => config,
      identity,
      facts,
      privileges,
      rootAccess,
      onTask,
      logger,
    })
    : undefined;
  if (!live) logger.warn("realtime is disabled", { lost: "terminals, metrics, pushed tasks" });
  await claims;
  await Promise.all([drain(tasks, config.shutdownTimeoutMs), live?.stopTerminals()]);
  await live?.[Symbol.asyncDispose]();
  stopHeartbeats.abort();
  await heartbeats;
  await rootAccess.kept();
  logger.info("agent stopped");
  return 0;
}

/** The realtime part is the larger half of the program, so it is loaded when all else is running. */
async function goLive(options: LiveOptions): Promise<Live> {
  const { Live } = await import("./live.ts");
  return new Live(options);
}

/** Lets tasks finish, then ends them, then lets them be reported; each for a limited time. */
async function drain(tasks: TaskManager, shutdownTimeoutMs: number): Promise<void> {
  if (await settlesWithin(tasks.idle(), shutdownTimeoutMs)) return;
  tasks.endAll({ kind: "stopping" });
  await settlesWithin(tasks.idle(), REPORT_MS);
}

async function settlesWithin(work: Promise<void>, limitMs: number): Promise<boolean> {
  const timer = new AbortController();
  const limit = delay(limitMs, false, { signal: timer.signal }).catch(() => false);
  const settled = await Promise.race([work.then(() => true), limit]);
  timer.abort();
  return settled;
}

/** Reads the configuration again; one that is bad is told of, and the old one stays. */
async function reload(
  { config: old }: LoadedConfig,
  env: ReadEnv,
  logger: Logger,
): Promise<Config | undefined> {
  try {
    const { config } = await loadConfig({ env });
    logger.setLevel(config.logLevel);
    const restart = ([
      "apiUrl",
      "nodeId",
      "agentToken",
      "runAsUser",
      "stateFile",
      "apiTlsCaFile",
    ] as const)
      .filter((key) => config[key] !== old[key]);
    logger.info("configuration read again", restart.length > 0 ? { needsRestart: restart } : {});
    return config;
  } catch (error) {
    logger.error("configuration stays as it was", { error: messageOf(error) });
    return undefined;
  }
}
