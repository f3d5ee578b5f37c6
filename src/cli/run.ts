import { dirname } from "@std/path";
import { lockState } from "../agent/instance_lock.ts";
import type { StatusEndpoints } from "../health/status_endpoints.ts";
import {
  type Config,
  isUsualConfig,
  loadConfig,
  type LoadedConfig,
  type ReadEnv,
  RunningConfig,
} from "../config/mod.ts";
import { type Credentials, EnrollmentApi } from "../control_plane/agent_api.ts";
import { connect } from "../control_plane/connect.ts";
import { awaitApproval, completeEnrollment, type WaitingReport } from "../identity/enrollment.ts";
import { knownIdentity, requireOwnState } from "../identity/known_identity.ts";
import { HealthMonitor } from "../health/health_monitor.ts";
import { useBareTimers } from "../system/use_bare_timers.ts";
import { shieldDescriptors } from "../system/inherited_descriptors.ts";
import { readHostFacts } from "../system/host_facts.ts";
import { Logger } from "../system/logger.ts";
import { showsColors } from "../system/text.ts";
import { isJournal } from "../system/journal_stream.ts";
import { runUnderReaper } from "../system/reaper.ts";
import { LogSink } from "../system/log_sink.ts";
import { UserError } from "../system/user_error.ts";
import { takeEnvironment } from "./environment.ts";
import { Interruption } from "./interruption.ts";
import { PROGRAM } from "./output.ts";

/** While the approval is waited for, the log says so this often, in milliseconds. */
const WAITING_LOG_INTERVAL_MS = 60_000;
/** At its end the agent waits so long for traces to be exported, in milliseconds. */
const EXPORT_LIMIT_MS = 2_000;

/** Runs the agent until it is stopped; gives the exit code. */
export async function run(): Promise<number> {
  const reaperless = runUnderReaper();
  const env = takeEnvironment();
  if (!isTraced(env)) useBareTimers();
  const loaded = await loadConfig({ env });
  const { config } = loaded;
  const logger = openLog(config.logLevel, env);
  try {
    if (reaperless !== undefined) {
      logger.warn("processes that tasks leave behind stay as zombies", { error: reaperless });
    }
    return await runLogged(env, loaded, logger);
  } finally {
    await logger.flush();
  }
}

async function runLogged(env: ReadEnv, loaded: LoadedConfig, logger: Logger): Promise<number> {
  const { config } = loaded;
  logger.hide(config.enrollmentToken);
  logger.hide(config.agentToken);
  using _libc = shieldDescriptors((error) =>
    logger.warn("tasks may get the descriptors that the agent was started with", { error })
  );
  if (!isUsualConfig(loaded, env)) logger.info("configuration was found", { file: loaded.path });
  for (const warning of loaded.warnings) logger.warn("configuration warning", { warning });

  await requireOwnState(config);
  const known = await knownIdentity(loaded);
  if (!known && !config.enrollmentToken) {
    throw new UserError(`This machine is not enrolled: run \`${PROGRAM} enroll\`.`);
  }
  using state = await lockState(dirname(config.stateFile), logger);
  const running = new RunningConfig(loaded);
  const health = new HealthMonitor(running);
  const place = { loaded, env, logger, health };
  let endpoints: StatusEndpoints | undefined;
  const onServing = async () => {
    // What the machine is told can wait until the agent works.
    const { StatusEndpoints } = await import("../health/status_endpoints.ts");
    endpoints ??= await StatusEndpoints.show(place);
  };
  try {
    const traces = await tracing(env);
    const quietly = <T>(work: () => T) => traces ? traces.untraced(work) : work();
    if (!known && traces) requireQuietSampler(env);
    const identity = known ??
      await quietly(() => finishEnrollment({ ...place, onServing }));
    if (!identity) return 0;
    logger.hide(identity.agentToken);
    const facts = await readHostFacts();
    const { runAgent } = await import("../agent/agent.ts");
    return await quietly(() =>
      runAgent({
        config: running,
        identity,
        facts,
        logger,
        env,
        health,
        onServing,
        state,
        Api: traces?.TracedAgentApi,
      })
    );
  } finally {
    await endpoints?.[Symbol.asyncDispose]();
  }
}

/** Whether Deno has been told to export traces. */
function isTraced(env: ReadEnv): boolean {
  return /^(1|true)$/i.test(env("OTEL_DENO") ?? "");
}

/** How tasks are traced, where Deno has been told to export traces; what it costs is loaded only then. */
async function tracing(env: ReadEnv) {
  if (!isTraced(env)) return undefined;
  boundExit(EXPORT_LIMIT_MS);
  return await import("../control_plane/traced_agent_api.ts");
}

/**
 * Has the process end at most this long after `Deno.exit`, which first waits for Deno's exporter to
 * deliver what is pending, at a collector that does not answer for many seconds.
 */
function boundExit(limitMs: number): void {
  // Deno.exit blocks this thread: only another one can end the process then. It has modules of its
  // own, so this is the one function of the C library that libc.ts does not bind.
  globalThis.addEventListener("unload", () => {
    const script = `
      const parameters = ["i32"];
      const libc = Deno.dlopen("libc.so.6", { _exit: { parameters, result: "void" } });
      setTimeout(() => libc.symbols._exit(${Deno.exitCode}), ${limitMs});
    `;
    new Worker(`data:text/javascript,${encodeURIComponent(script)}`, { type: "module" });
  });
}

/** Where the enrollment stands is asked for by its token, in a path that other samplers let be exported. */
function requireQuietSampler(env: ReadEnv): void {
  const sampler = env("OTEL_TRACES_SAMPLER");
  if (sampler === "always_off" || sampler?.startsWith("parentbased_")) return;
  throw new UserError(
    "The traces would hold the enrollment's token: set OTEL_TRACES_SAMPLER=parentbased_always_on.",
  );
}

/** What a run begins with. */
interface Place {
  loaded: LoadedConfig;
  env: ReadEnv;
  logger: Logger;
  health: HealthMonitor;
  onServing: () => Promise<void>;
}

/** Goes on with a pending enrollment; `undefined` when told to stop before it was approved. */
async function finishEnrollment(
  { loaded, env, logger, health, onServing }: Place,
): Promise<Credentials | undefined> {
  const { enrollmentToken = "", requestTimeoutMs } = loaded.config;
  using transport = await connect(loaded);
  const sentence = "stopped while the enrollment is awaiting approval";
  using interruption = new Interruption(sentence, { daemon: true });
  const { signal } = interruption;
  const place = {
    loaded,
    env,
    api: new EnrollmentApi(transport, requestTimeoutMs),
    warn: (warning: string) => logger.warn("enrollment warning", { warning }),
  };
  logger.info("enrollment is awaiting approval");
  health.enter("waiting for approval");
  await onServing();
  try {
    const tell = waitingLog(logger);
    const onWaiting = (report: WaitingReport) => {
      if (report.problem) health.approval.failed(report.problem);
      else health.approval.answered();
      tell(report);
    };
    const credentials = await awaitApproval(place, enrollmentToken, { signal, onWaiting });
    logger.hide(credentials.agentToken);
    await completeEnrollment(place, credentials);
    logger.info("enrollment approved", { nodeId: credentials.nodeId });
    health.enter("running");
    return credentials;
  } catch (error) {
    if (error !== signal.reason || !signal.aborted) throw error;
    logger.info("stopped before the enrollment was approved; its token is kept");
    return undefined;
  }
}

function openLog(level: Config["logLevel"], env: ReadEnv): Logger {
  const pretty = Deno.stdout.isTerminal();
  const sink = new LogSink();
  const logger = new Logger({
    level,
    pretty,
    color: showsColors(),
    priorities: isJournal(env("JOURNAL_STREAM")),
    write: (line) => sink.write(line),
    flush: (limitMs) => sink.flush(limitMs),
  });
  sink.onDropped = (count) =>
    logger.warn("log lines were dropped: nobody has read them", { count });
  return logger;
}

/** Tells of a wait once a minute, and of each new problem. */
function waitingLog(logger: Logger): (report: WaitingReport) => void {
  let nextAtMs = WAITING_LOG_INTERVAL_MS;
  let lastProblem: string | undefined;
  return ({ waitedMs, remainingMs, problem }) => {
    if (problem && problem !== lastProblem) {
      logger.warn("the control plane did not say where the enrollment stands", { problem });
    } else if (waitedMs >= nextAtMs) {
      logger.info("enrollment is still awaiting approval", { remainingMs });
    } else return;
    lastProblem = problem;
    nextAtMs = waitedMs + WAITING_LOG_INTERVAL_MS;
  };
}
