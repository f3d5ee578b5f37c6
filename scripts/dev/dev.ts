/**
 * `deno task dev`: a local control plane, an agent that enrolls with it by itself and runs from
 * this checkout, a prompt that queues shell commands for it, and a page with its telemetry, its
 * tasks and terminals.
 */
import { join, resolve } from "@std/path";
import { AgentHealth } from "./_agent_health.ts";
import { type DevAgentOptions, enrollDevAgent, runDevAgent } from "./_dev_agent.ts";
import { pageKey } from "./_page_key.ts";
import { startPage } from "./_page.ts";
import { Prompt } from "./_prompt.ts";
import { Screen } from "./_screen.ts";
import { TaskBoard } from "./_task_board.ts";
import { type ControlPlane, hasEnded, startControlPlane } from "./control_plane.ts";

const FIRST_PORT = 3000;
const LAST_PORT = 3100;
/** The page is at the control plane's port and so many: the same one each time. */
const PAGE_PORT_OFFSET = 1000;
const AGENT_UP_LIMIT_MS = 60_000;
const ROOT = resolve(import.meta.dirname ?? ".", "../..");
const DEV_FOLDER = join(ROOT, ".dev");

if (import.meta.main) Deno.exit(await dev());

/** Runs until it is told to leave; gives the exit code. */
async function dev(): Promise<number> {
  const encoder = new TextEncoder();
  const interactive = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  const screen = new Screen({
    write: (text) => void Deno.stdout.writeSync(encoder.encode(text)),
    color: Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR"),
  });
  const leave = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => stop(leave, screen));
  }
  const key = await pageKey(DEV_FOLDER);
  await using controlPlane = await startOnFreePort();
  if (!controlPlane) {
    screen.say(
      `The ports ${FIRST_PORT} to ${LAST_PORT} are taken: end a program that listens there.`,
    );
    return 1;
  }
  const board = new TaskBoard(controlPlane, screen);
  const folder = join(DEV_FOLDER, String(controlPlane.port));
  using health = new AgentHealth(() => controlPlane.touched());
  await using page = startPage(controlPlane, {
    run: (task) => board.queue(task),
    health: () => health.news,
    port: controlPlane.port + PAGE_PORT_OFFSET,
    key,
  });
  sayMoved(screen, "control plane", FIRST_PORT, controlPlane.url);
  sayMoved(screen, "page", controlPlane.port + PAGE_PORT_OFFSET, page.url);
  const agent = await prepareAgent(folder, { controlPlane, screen, health });
  if (!await enrollDevAgent(agent)) {
    screen.say("The agent could not be enrolled; what it said is above.");
    return 1;
  }
  const running = runDevAgent(agent, leave.signal);
  const prompt = new Prompt({
    board,
    screen,
    pageUrl: page.url,
    historyFile: join(DEV_FOLDER, "history"),
    leave: () => stop(leave, screen),
  });
  const code = await work({ controlPlane, board, screen, prompt, interactive, leave });
  screen.endPrompt();
  leave.abort();
  await running;
  return code;
}

/** What the parts of one sitting share. */
interface Sitting {
  readonly controlPlane: ControlPlane;
  readonly board: TaskBoard;
  readonly screen: Screen;
  readonly prompt: Prompt;
  /** A person types at a terminal; otherwise standard input is a list of commands or empty. */
  readonly interactive: boolean;
  /** Aborted when it is time to leave. */
  readonly leave: AbortController;
}

/** Waits for the agent and obeys standard input until it is time to leave; gives the exit code. */
async function work(sitting: Sitting): Promise<number> {
  const { controlPlane, board, screen, prompt, interactive, leave } = sitting;
  const left = new Promise<"left">((resolve) =>
    leave.signal.addEventListener("abort", () => resolve("left"))
  );
  const up = await Promise.race([left, isUp(controlPlane)]);
  if (up === "left") return 0;
  if (!up) {
    screen.say("The agent claims no tasks; what it said is above.");
    if (!interactive) return 1;
  }
  screen.say(`The agent is up; control plane: ${controlPlane.url}`);
  if (interactive) screen.say(prompt.help);
  else screen.say(`page: ${prompt.pageUrl}`);
  const said = interactive ? prompt.converse() : prompt.read();
  if (await Promise.race([left, said.then(() => board.settled())]) === "left") return 0;
  if (interactive) return 0;
  // Without a single command it was not meant to leave.
  if (board.size === 0) await left;
  return board.exitCode;
}

function isUp(controlPlane: ControlPlane): Promise<boolean> {
  return controlPlane.waitFor(
    () => controlPlane.requests.some(({ path }) => path.endsWith("/agent/tasks/claim")),
    { timeoutMs: AGENT_UP_LIMIT_MS },
  ).then(() => true, () => false);
}

/** The first time it leaves in order, the second time at once. */
function stop(leave: AbortController, screen: Screen): void {
  screen.endPrompt();
  if (leave.signal.aborted) Deno.exit(130);
  screen.say("Stopping the agent …");
  leave.abort();
}

/** Says so when another program has the usual port: a second one of these, for example. */
function sayMoved(screen: Screen, what: string, usualPort: number, url: string): void {
  const port = Number(new URL(url).port);
  if (port !== usualPort) screen.say(`Port ${usualPort} is taken: the ${what} is on port ${port}.`);
}

/** Makes a fresh private folder with the agent's configuration: the control plane is new as well. */
async function prepareAgent(
  folder: string,
  { controlPlane, screen, health }: Pick<Sitting, "controlPlane" | "screen"> & {
    health: AgentHealth;
  },
): Promise<DevAgentOptions> {
  await Deno.remove(folder, { recursive: true }).catch((thrown) => {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  });
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const configFile = join(folder, "config.json");
  const stateFile = join(folder, "agent_identity.json");
  const apiUrl = controlPlane.url;
  const config = {
    api_url: apiUrl,
    state_file: stateFile,
    log_level: "info",
    shutdown_timeout: "2s",
    reconnect_spread: "0s",
    metrics_listen: health.address,
  };
  await Deno.writeTextFile(configFile, JSON.stringify(config, null, 2) + "\n", { mode: 0o600 });
  return {
    root: ROOT,
    configFile,
    apiUrl,
    stateFile,
    show: (line) => screen.agent(line),
    idle: (signal) => isIdle(controlPlane, screen, signal),
    starting: () => setMaintenance(controlPlane, false),
  };
}

/** Resolves when no task runs; until then no further one begins. */
async function isIdle(
  controlPlane: ControlPlane,
  screen: Screen,
  signal: AbortSignal,
): Promise<void> {
  const running = () =>
    controlPlane.tasks.filter((task) => !hasEnded(task) && task.status !== "queued");
  setMaintenance(controlPlane, true);
  const count = running().length;
  if (count === 0) return;
  const what = count === 1 ? "the running task has" : `${count} running tasks have`;
  screen.agent(`a file has changed: starting again when ${what} ended`);
  const aborted = new Promise<void>((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true })
  );
  const ended = controlPlane.waitFor(() => running().length === 0, { timeoutMs: 2 ** 31 - 1 });
  // The control plane going down ends the wait as well.
  await Promise.race([aborted, ended.catch(() => {})]);
}

/** A node in maintenance gets no new tasks: they wait for the agent's next start. */
function setMaintenance(controlPlane: ControlPlane, on: boolean): void {
  const node = controlPlane.nodes.at(-1);
  if (node) controlPlane.maintenance(node.nodeId, on);
}

/** Undefined: there is none. */
async function startOnFreePort(): Promise<ControlPlane | undefined> {
  for (let port = FIRST_PORT; port <= LAST_PORT; port++) {
    try {
      // The claim of an agent that was started again must not take the next task with it.
      return await startControlPlane({ port, autoApprove: true, claimsOutliveCallers: false });
    } catch (thrown) {
      const isTaken = thrown instanceof Error && "code" in thrown && thrown.code === "EADDRINUSE";
      if (!isTaken) throw thrown;
    }
  }
  return undefined;
}
