import { formatDuration } from "../config/mod.ts";
import type { AgentStatus } from "../health/agent_status.ts";
import type { Health } from "../health/verdict.ts";
import { usageText } from "../hosts/usage.ts";
import type { ServiceState } from "../system/systemd.ts";
import { colored, localTime, oneLine } from "../system/text.ts";
import { PROGRAM } from "./output.ts";

/** What is known without the agent. */
export interface Known {
  /** The configuration file, where there is one. */
  configFile?: string;
  /** Where the agent keeps what it must remember. */
  stateFolder: string;
  /** Whether an enrollment waits for its approval. */
  isPending: boolean;
  /** Who this machine is. */
  nodeId?: string;
  /** The control plane's address, where one is set. */
  apiUrl?: string;
  /** Why the control plane does not answer this command; undefined if it does. */
  controlPlaneProblem?: string;
}

/** All that `status` has found out. */
export interface StatusFacts {
  /** The time of day. */
  now: Date;
  /** What systemd says; undefined where there is none. */
  service: ServiceState | undefined;
  /** What the agent says, or why it says nothing. */
  agent:
    | { outcome: "answered"; status: AgentStatus }
    | { outcome: "mute" | "stranger"; why: string }
    | { outcome: "down"; health: Health }
    | { outcome: "denied" | "unknown" };
  /** Looked up where the agent says nothing. */
  known?: Known;
  /** The last lines of the service's log, where it does not run. */
  log?: string[];
  /** Why the configuration cannot be read. */
  configProblem?: string;
  /** Whether the reader sees colours. */
  color?: boolean;
}

type Row = [label: string, value: string];

const LABEL_WIDTH = 15;
/** So many running tasks are named. */
const SHOWN_TASKS = 20;

/** Whether the agent runs, as far as this user can find out. */
export function runs({ agent, service }: StatusFacts): boolean {
  return agent.outcome === "answered" || agent.outcome === "mute" ||
    (agent.outcome === "denied" && service?.active === "active");
}

/** What `status` prints. */
export function renderStatus(facts: StatusFacts): string {
  const { agent, service, now, known, configProblem, log = [] } = facts;
  const rows: Row[] = [["Service", serviceWords(service, now)]];
  if (agent.outcome === "answered") rows.push(...agentRows(agent.status, now));
  else if (known) rows.push(...knownRows(known));
  if (configProblem !== undefined) rows.push(["Configuration", configProblem]);
  if (log.length > 0) rows.push(["Last log", log.join("\n")]);
  return `${headline(facts)}\n\n${rows.map(shown).join("")}`;
}

function headline(facts: StatusFacts): string {
  const { agent } = facts;
  switch (agent.outcome) {
    case "answered": {
      const { version } = agent.status;
      return verdictWords(`${PROGRAM} ${version}`, healthOf(agent.status), facts);
    }
    case "mute":
      return `${PROGRAM} runs, but does not say how it is: ${agent.why}.\n` +
        `  fix: sudo ${PROGRAM} restart`;
    case "denied": {
      const seen = runs(facts) ? "runs" : "may run";
      return `${PROGRAM} ${seen}; only root may ask it how it is: sudo ${PROGRAM} status`;
    }
    case "stranger":
      return `${PROGRAM} may run, but what answers is not trusted, because ${agent.why}.`;
    case "down":
      return verdictWords(PROGRAM, agent.health, facts);
    case "unknown":
      return `${PROGRAM} may run, but its configuration does not say where.`;
  }
}

const COLORS = { healthy: "green", degraded: "yellow", unhealthy: "red" } as const;

function verdictWords(
  who: string,
  { state, what, since, fix }: Health,
  { now, color = false }: StatusFacts,
): string {
  const long = since === undefined ? "" : ` for ${span(since, now)}`;
  const rest = what === undefined ? "" : `${long}: ${what}`;
  const todo = fix === undefined ? "" : `\n  ${colored("fix:", "bold", color)} ${fix}`;
  return `${who} is ${colored(state, COLORS[state], color)}${rest}.${todo}`;
}

/** An agent of an earlier version says only what is wrong. */
function healthOf({ health, notReady }: AgentStatus): Health {
  if (health) return health;
  if (notReady === undefined) return { state: "healthy", code: "healthy" };
  return { state: "degraded", code: "starting", what: notReady };
}

function serviceWords(service: ServiceState | undefined, now: Date): string {
  if (!service) return "this machine has no systemd, or it does not answer";
  const { load, active, sub, enabled, since, restarts, result, lastExit } = service;
  if (load === "not-found") return "not installed";
  const words = [
    `${active} (${sub})${since ? ` since ${localTime(since)}, for ${span(since, now)}` : ""}`,
  ];
  if (enabled) words.push(enabled === "enabled" ? "enabled at boot" : enabled);
  if (restarts > 0) words.push(`restarted by systemd: ${restarts}`);
  if (active !== "active" && lastExit !== undefined) words.push(`last exit: ${lastExit}`);
  if (!["success", "", "exit-code", "signal"].includes(result)) words.push(`result: ${result}`);
  if (load !== "loaded") words.push(`unit file: ${load}`);
  return words.join("; ");
}

function isolationText({ tasks, why }: NonNullable<AgentStatus["isolation"]>): string {
  if (tasks === "unit") return "each in a unit of systemd's: `systemctl status noderax.slice`";
  return `as children of the agent${why === undefined ? "" : `: ${oneLine(why)}`}`;
}

function agentRows(status: AgentStatus, now: Date): Row[] {
  const { pid, startedAt, nodeId, tasks, terminals, runAsUser, rootAccess, isolation } = status;
  const { success, ...others } = tasks.ended;
  const unsuccessful = Object.values(others).reduce((sum, count) => sum + count, 0);
  const hidden = tasks.running.length - SHOWN_TASKS;
  return [
    ["Process", `${pid}, started ${localTime(startedAt)}, up ${span(startedAt, now)}`],
    ["Node", nodeId ?? "the enrollment is awaiting approval"],
    ...connectionRows(status, now),
    ["Tasks", `${tasks.running.length} running, ${tasks.reporting} reporting`],
    ...tasks.running.slice(0, SHOWN_TASKS).map((
      { id, type, since, used },
    ): Row => {
      const text = used ? usageText(used) : "";
      return ["", `${oneLine(`${id} ${type}`)}, ${span(since, now)}${text && `: ${text}`}`];
    }),
    ...hidden > 0 ? [["", `and ${hidden} more, which --json lists`] satisfies Row] : [],
    ["", `since the start: ${success} succeeded, ${unsuccessful} did not`],
    ["Terminals", `${terminals} open`],
    ["Backlog", `${tasks.backlogBytes} bytes of output not delivered yet`],
    ["Tasks run as", runAsUser ?? "the agent's own user (run_as_user is not set)"],
    ...isolation ? [["", isolationText(isolation)] satisfies Row] : [],
    ["Root access", rootAccess ?? "not restricted: the control plane has never set a profile"],
    ["Configuration", status.configFile],
    ...status.needsRestart.length > 0
      ? [["", `waits for a restart: ${status.needsRestart.join(", ")}`] satisfies Row]
      : [],
    ["State", status.stateFolder],
  ];
}

function connectionRows(status: AgentStatus, now: Date): Row[] {
  const { apiUrl, phase, controlPlaneAnswers, heartbeats, claims } = status;
  // One answer that is missing changes no verdict; the line of that call tells of it.
  const refused = healthOf(status).code === "credentials_refused";
  const answering = controlPlaneAnswers ? "answers" : "does not answer";
  const answers = refused ? "refuses this node's credentials" : answering;
  if (phase === "waiting for approval") return [["Control plane", `${apiUrl} ${answers}`]];
  return [
    ["Control plane", `${apiUrl} ${answers}`],
    ["", `last heartbeat ${callWords(heartbeats, now)}`],
    ["", `last claim ${callWords(claims, now)}`],
    ["Realtime", realtimeWords(status, now)],
  ];
}

function callWords(calls: AgentStatus["claims"], now: Date): string {
  const { answeredAt, failing, lastFailure } = calls;
  const answered = answeredAt === undefined ? "not answered yet" : `${span(answeredAt, now)} ago`;
  if (!failing || !lastFailure) return answered;
  return `${answered}; failed ${span(lastFailure.at, now)} ago: ${lastFailure.why}`;
}

function realtimeWords({ realtime }: AgentStatus, now: Date): string {
  const { enabled, connected, since, problem } = realtime;
  if (!enabled) return "disabled (realtime_enabled)";
  const how = connected ? "up" : "down";
  const long = since === undefined ? "" : ` for ${span(since, now)}`;
  return connected ? `${how}${long}` : `${how}${long}: ${problem ?? "it is connecting"}`;
}

function knownRows(known: Known): Row[] {
  const { nodeId, isPending, apiUrl, controlPlaneProblem, configFile, stateFolder } = known;
  const node = nodeId ?? (isPending ? "an enrollment is awaiting approval" : "not known here");
  const answers = controlPlaneProblem ? `does not answer: ${controlPlaneProblem}` : "answers";
  return [
    ["Node", node],
    ["Control plane", apiUrl === undefined ? "api_url is not set" : `${apiUrl} ${answers}`],
    ["Configuration", configFile ?? "there is no file"],
    ["State", stateFolder],
  ];
}

function shown([label, value]: Row): string {
  return `${label.padEnd(LABEL_WIDTH)}${value.replaceAll("\n", `\n${" ".repeat(LABEL_WIDTH)}`)}\n`;
}

function span(from: Date | string, now: Date): string {
  const seconds = Math.round((now.getTime() - new Date(from).getTime()) / 1_000);
  const days = Math.floor(seconds / 86_400);
  return days > 1 ? `${days} days` : formatDuration(Math.max(0, seconds) * 1_000);
}
