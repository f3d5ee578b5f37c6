import { dirname, resolve } from "@std/path";
import { isConfigNamed, loadConfig, type LoadedConfig } from "../config/mod.ts";
import { connect } from "../control_plane/connect.ts";
import { knownIdentity } from "../identity/known_identity.ts";
import { AgentStatus } from "../local/agent_status.ts";
import { askAgent } from "../local/client.ts";
import { socketPaths } from "../local/socket_path.ts";
import { preflight } from "../realtime/preflight.ts";
import { jsonOf } from "../system/json.ts";
import { serviceState } from "../system/systemd.ts";
import { EXIT_FAILED, messageOf } from "../system/user_error.ts";
import { print } from "./output.ts";
import { type Known, renderStatus, runs, type StatusFacts } from "./status_view.ts";

/** How long the agent may take to answer, in milliseconds. */
const ANSWER_MS = 2_000;

/**
 * Says how the service, the agent and its connections are; gives 0 if the agent runs, else 1. With
 * `check` it is one line, and 0 only if the agent is well, within 5 s in any case.
 */
export async function status(
  { json = false, check = false }: { json?: boolean; check?: boolean },
): Promise<number> {
  const { loaded, problem } = await readConfig();
  const paths = socketPaths(loaded?.config.stateFile, isConfigNamed());
  if (check) return await checkAgent(paths);
  const [service, agent] = await Promise.all([serviceState(), askStatus(paths)]);
  const known = agent.outcome === "answered" ? undefined : await lookAround(loaded);
  const facts = {
    now: new Date(),
    service,
    agent,
    ...(known ? { known } : {}),
    ...(problem === undefined ? {} : { configProblem: problem }),
  };
  print(json ? asJson(facts) : renderStatus(facts));
  return runs(facts) ? 0 : EXIT_FAILED;
}

/** One line for monitors. */
async function checkAgent(paths: string[]): Promise<number> {
  const [alive, ready] = await Promise.all([
    askAgent(paths, "/healthz", ANSWER_MS),
    askAgent(paths, "/readyz", ANSWER_MS),
  ]);
  const bad = [alive, ready].map(complaintOf).find((words) => words !== undefined);
  print(bad === undefined ? "ok: the agent is alive and ready\n" : `not well: ${bad}\n`);
  return bad === undefined ? 0 : EXIT_FAILED;
}

function complaintOf(asked: Awaited<ReturnType<typeof askAgent>>): string | undefined {
  switch (asked.outcome) {
    case "answered":
      return asked.ok ? undefined : asked.text.trim();
    case "mute":
      return `the agent does not answer: ${asked.why}`;
    case "denied":
      return "the agent may only be asked by its own user and root: use sudo";
    case "down":
      return "the agent does not run";
  }
}

async function askStatus(paths: string[]): Promise<StatusFacts["agent"]> {
  const asked = await askAgent(paths, "/status", ANSWER_MS);
  if (asked.outcome !== "answered") return asked;
  const parsed = AgentStatus.safeParse(jsonOf(asked.text));
  return parsed.success
    ? { outcome: "answered", status: parsed.data }
    : { outcome: "mute", why: "its answer is that of another version: restart it" };
}

async function readConfig(): Promise<{ loaded?: LoadedConfig; problem?: string }> {
  try {
    return { loaded: await loadConfig() };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

/** What can be known without the agent. */
async function lookAround(loaded: LoadedConfig | undefined): Promise<Known | undefined> {
  if (!loaded) return undefined;
  const { config, path, exists } = loaded;
  const { apiUrl, stateFile, enrollmentToken } = config;
  const identity = await knownIdentity(config).catch(() => undefined);
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
    return await preflight(transport, loaded.config.realtimePath, new AbortController().signal);
  } catch (error) {
    return messageOf(error);
  }
}

function asJson({ service, agent, known, configProblem, ...rest }: StatusFacts): string {
  const told = agent.outcome === "answered" ? agent.status : null;
  const problem = agent.outcome === "mute" ? agent.why : configProblem;
  return `${
    JSON.stringify(
      {
        running: runs({ service, agent, ...rest }),
        outcome: agent.outcome,
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
