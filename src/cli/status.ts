import { dirname, resolve } from "@std/path";
import {
  inspectConfig,
  type InspectedConfig,
  type LoadedConfig,
  namedConfig,
} from "../config/mod.ts";
import { connect } from "../control_plane/connect.ts";
import { knownIdentity } from "../identity/known_identity.ts";
import { AgentStatus } from "../health/agent_status.ts";
import { askAgent, type Asked, socketPaths } from "../health/status_client.ts";
import type { Page } from "../health/http_listener.ts";
import { probeSocket } from "../realtime/probe_socket.ts";
import { jsonOf, showsColors } from "../system/text.ts";
import { INSTALLED } from "../system/paths.ts";
import { type Health, healthLine } from "../health/verdict.ts";
import { isRunning, type ServiceState, serviceState } from "../system/systemd.ts";
import { EXIT_FAILED, messageOf } from "../system/user_error.ts";
import { print, PROGRAM } from "./output.ts";
import { lastWords } from "./service_commands.ts";
import { type Known, renderStatus, runs, type StatusFacts } from "./status_view.ts";
import { tellWhichConfig } from "./config.ts";

/** So many of the last lines of a service that does not run are shown. */
const SHOWN_LINES = 3;
/** How long the agent may take to answer, in milliseconds. */
const ANSWER_MS = 2_000;

/**
 * Says how the service, the agent and its connections are; gives 0 if the agent runs, else 1. With
 * `check` it is one line, and 0 only if the agent is healthy, within 5 s in any case.
 */
export async function status(
  { json = false, check = false }: { json?: boolean; check?: boolean },
): Promise<number> {
  const { loaded, problem } = await readConfig();
  if (loaded) tellWhichConfig(loaded);
  const stateFile = loaded?.problems.state_file ? undefined : loaded?.config.stateFile;
  const place = {
    paths: socketPaths(stateFile, isOther()),
    ...(stateFile === undefined && problem !== undefined ? { problem } : {}),
  };
  if (check) return await checkAgent(place);
  const [service, agent] = await Promise.all([serviceState(), askStatus(place)]);
  const log = agent.outcome === "down" && service && !isOther() ? await lastLines(service) : [];
  // What a bad value stands for is not known, nor what depends on it.
  const isUseful = agent.outcome !== "answered" && problem === undefined;
  const known = isUseful ? await lookAround(loaded) : undefined;
  const facts = {
    now: new Date(),
    color: showsColors(),
    service,
    agent,
    ...(known ? { known } : {}),
    ...(log.length > 0 ? { log } : {}),
    ...(problem === undefined ? {} : { configProblem: problem }),
  };
  print(json ? asJson(facts) : renderStatus(facts));
  return runs(facts) ? 0 : EXIT_FAILED;
}

/** Whether a configuration is named that is not the installed agent's. */
function isOther(): boolean {
  const named = namedConfig();
  return named !== undefined && named !== INSTALLED.config;
}

/** Where the agent may be. */
interface Place {
  paths: string[];
  /** Why there may be another place, which is not known. */
  problem?: string;
}

type Told =
  | Exclude<Asked, { outcome: "down" }>
  | { outcome: "down"; health: Health }
  | { outcome: "unknown"; why: string };

async function ask({ paths, problem }: Place, page: Page): Promise<Told> {
  const asked = await askAgent(paths, page, ANSWER_MS);
  if (asked.outcome !== "down") return asked;
  // Nobody is where this command can look: that says something only if it can look everywhere.
  if (problem !== undefined) return { outcome: "unknown", why: problem };
  return { outcome: "down", health: downHealth(isOther() ? undefined : await serviceState()) };
}

/** The end of the service's log, or how to see it. */
async function lastLines(service: ServiceState): Promise<string[]> {
  if (service.load === "not-found") return [];
  const lines = await lastWords(service, SHOWN_LINES);
  return lines.length > 0 ? lines : [`none that this user may read: sudo ${PROGRAM} logs`];
}

/** One line for monitors. */
async function checkAgent(place: Place): Promise<number> {
  const [alive, ready] = await Promise.all([ask(place, "/healthz"), ask(place, "/readyz")]);
  const bad = [alive, ready].map(complaintOf).find((words) => words !== undefined);
  print(bad === undefined ? "healthy\n" : `${bad}\n`);
  return bad === undefined ? 0 : EXIT_FAILED;
}

function complaintOf(asked: Told): string | undefined {
  switch (asked.outcome) {
    case "answered":
      return asked.ok ? undefined : asked.text.trim();
    case "mute":
      return `unhealthy: the agent does not answer: ${asked.why} (fix: sudo ${PROGRAM} restart)`;
    case "denied":
      return `unknown: only its own user and root may ask the agent (fix: sudo ${PROGRAM} status --check)`;
    case "stranger":
      return `unhealthy: what answers is not trusted, because ${asked.why}`;
    case "down":
      return healthLine(asked.health);
    case "unknown":
      return `unknown: the agent may run, but where is not known: ${
        asked.why.replaceAll("\n", " ")
      }`;
  }
}

async function askStatus(place: Place): Promise<StatusFacts["agent"]> {
  const asked = await ask(place, "/status");
  if (asked.outcome !== "answered") return asked;
  const parsed = AgentStatus.safeParse(jsonOf(asked.text));
  return parsed.success
    ? { outcome: "answered", status: parsed.data }
    : { outcome: "mute", why: "its answer is that of another version: restart it" };
}

/** What of the configuration can be read, and what is wrong with it. */
async function readConfig(): Promise<{ loaded?: InspectedConfig; problem?: string }> {
  try {
    const loaded = await inspectConfig();
    const problem = Object.values(loaded.problems).join("\n");
    return { loaded, ...(problem ? { problem } : {}) };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

/** What can be known without the agent. */
async function lookAround(loaded: LoadedConfig | undefined): Promise<Known | undefined> {
  if (!loaded) return undefined;
  const { config, path, exists } = loaded;
  const { apiUrl, stateFile, enrollmentToken } = config;
  const identity = await knownIdentity(loaded).catch(() => undefined);
  const problem = apiUrl === undefined ? undefined : await controlPlaneProblem(loaded);
  return {
    ...(exists ? { configFile: path } : {}),
    stateFolder: dirname(resolve(stateFile)),
    isPending: !identity && enrollmentToken !== undefined,
    ...(identity ? { nodeId: identity.nodeId } : {}),
    ...(apiUrl === undefined ? {} : { apiUrl }),
    ...(problem === undefined ? {} : { controlPlaneProblem: problem }),
  };
}

async function controlPlaneProblem(loaded: LoadedConfig): Promise<string | undefined> {
  try {
    using transport = await connect(loaded);
    return await probeSocket(transport, loaded.config.realtimePath, new AbortController().signal);
  } catch (error) {
    return messageOf(error);
  }
}

function asJson({ service, agent, known, configProblem, ...rest }: StatusFacts): string {
  const told = agent.outcome === "answered" ? agent.status : null;
  const health = agent.outcome === "answered"
    ? agent.status.health
    : agent.outcome === "down"
    ? agent.health
    : undefined;
  const problem = agent.outcome === "mute" || agent.outcome === "stranger"
    ? agent.why
    : configProblem;
  return `${
    JSON.stringify(
      {
        running: runs({ service, agent, ...rest }),
        outcome: agent.outcome,
        health: health ?? null,
        ...(problem === undefined ? {} : { problem }),
        service: service ?? null,
        agent: told,
        known: known ?? null,
      },
      null,
      2,
    )
  }\n`;
}

/**
 * The verdict on an agent that does not run; `service` is what systemd says of the one that it would
 * be, undefined where it would be none.
 */
export function downHealth(service: ServiceState | undefined): Health {
  const down = (what: string, fix: string): Health => ({
    state: "unhealthy",
    code: "not_running",
    what,
    ...(service?.since ? { since: service.since.toISOString() } : {}),
    fix,
  });
  if (!service) return down("the agent does not run", `${PROGRAM} run`);
  const { load, active, result, restarts, lastExit } = service;
  if (load === "not-found") {
    return down("the service is not installed", `sudo ${PROGRAM} install`);
  }
  if (load !== "loaded") {
    return down(`the unit of the service is ${load}`, `systemctl cat ${PROGRAM}`);
  }
  const how = lastExit === undefined ? "" : `; its last exit: ${lastExit}`;
  const failed = !["success", ""].includes(result);
  if (active === "inactive" && !failed) {
    return down("the service is stopped", `sudo ${PROGRAM} start`);
  }
  const reason = failed && result !== "exit-code" && result !== "signal" ? ` (${result})` : "";
  const again = restarts > 0
    ? `the service fails again and again: systemd has started it again ${times(restarts)}`
    : isRunning(service)
    ? "the service is not up yet"
    : "the service has failed";
  return down(`${again}${how}${reason}`, `sudo ${PROGRAM} doctor finds the cause`);
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}
