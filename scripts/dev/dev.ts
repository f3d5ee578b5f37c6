/**
 * `deno task dev`: a local control plane, an agent that enrolls with it by itself and runs from
 * this checkout, a prompt that queues shell commands for it, and a page with its telemetry, its
 * tasks and terminals.
 */
import { join, resolve } from "@std/path";
import process from "node:process";
import { createInterface } from "node:readline";
import { type DevAgentOptions, enrollDevAgent, runDevAgent } from "./_dev_agent.ts";
import { Screen } from "./_screen.ts";
import { startPage } from "./_page.ts";
import { TaskBoard } from "./_task_board.ts";
import { type ControlPlane, startControlPlane } from "./control_plane.ts";

const FIRST_PORT = 3000;
const AGENT_UP_LIMIT_MS = 60_000;
const HELP = `Type a shell command to run it as a task, or
  :cancel [n]  cancel task n, or the one queued last
  :help        this text
  :quit        stop the agent and leave (Ctrl-C does the same)`;

/** What the parts of one sitting share. */
interface Sitting {
  readonly controlPlane: ControlPlane;
  readonly board: TaskBoard;
  readonly screen: Screen;
  /** A person types at a terminal; otherwise standard input is a list of commands or empty. */
  readonly interactive: boolean;
  /** Aborted when it is time to leave. */
  readonly leave: AbortController;
}

if (import.meta.main) Deno.exit(await dev());

/** Runs until it is told to leave; gives the exit code. */
async function dev(): Promise<number> {
  const encoder = new TextEncoder();
  const screen = new Screen({
    write: (text) => void Deno.stdout.writeSync(encoder.encode(text)),
    color: Deno.stdout.isTerminal() && !Deno.env.get("NO_COLOR"),
  });
  const leave = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => stop(leave, screen));
  }
  await using controlPlane = await startOnFreePort();
  const board = new TaskBoard(controlPlane, screen);
  await using page = startPage(controlPlane, { run: (command) => board.run(command) });
  screen.say(`control plane: ${controlPlane.url}\npage: ${page.url}`);
  const agent = await prepareAgent(controlPlane, screen);
  if (!await enrollDevAgent(agent)) {
    screen.say("The agent could not be enrolled; what it said is above.");
    return 1;
  }
  const running = runDevAgent(agent, leave.signal);
  const interactive = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  const code = await work({ controlPlane, board, screen, interactive, leave });
  screen.endPrompt();
  leave.abort();
  await running;
  return code;
}

/** Waits for the agent and obeys standard input until it is time to leave; gives the exit code. */
async function work(sitting: Sitting): Promise<number> {
  const { controlPlane, screen, interactive, leave } = sitting;
  const left = new Promise<"left">((resolve) =>
    leave.signal.addEventListener("abort", () => resolve("left"))
  );
  const up = await Promise.race([left, isUp(controlPlane)]);
  if (up === "left") return 0;
  if (!up) {
    screen.say("The agent claims no tasks; what it said is above.");
    if (!interactive) return 1;
  }
  screen.say(interactive ? HELP : "The agent is up.");
  if (!await Promise.race([left, obey(sitting)])) await left;
  return 0;
}

function isUp(controlPlane: ControlPlane): Promise<boolean> {
  return controlPlane.waitFor(
    () => controlPlane.requests.some(({ path }) => path.endsWith("/agent/tasks/claim")),
    { timeoutMs: AGENT_UP_LIMIT_MS },
  ).then(() => true, () => false);
}

/** Obeys standard input to its end; false when it had no commands, so that nothing says to leave. */
async function obey({ board, screen, interactive, leave }: Sitting): Promise<boolean> {
  const output = interactive ? { output: process.stdout, prompt: "command> " } : {};
  const lines = createInterface({ input: process.stdin, terminal: interactive, ...output });
  if (interactive) {
    screen.prompt = lines;
    lines.on("SIGINT", () => stop(leave, screen));
    lines.prompt();
  }
  for await (const line of lines) {
    const [word = "", argument] = line.trim().split(/\s+/);
    if (word === ":quit") return true;
    if (word === ":help") screen.say(HELP);
    else if (word === ":cancel") board.cancel(argument);
    else if (word.startsWith(":")) screen.say(`There is no ${word}; :help says what there is.`);
    else if (word) {
      // A person may have several tasks running; a list of commands runs one after the other.
      if (!interactive) await board.settled();
      board.run(line.trim());
    }
    screen.prompt?.prompt(true);
  }
  await board.settled();
  return interactive || board.size > 0;
}

/** The first time it leaves in order, the second time at once. */
function stop(leave: AbortController, screen: Screen): void {
  screen.endPrompt();
  if (leave.signal.aborted) Deno.exit(130);
  screen.say("Stopping the agent …");
  leave.abort();
}

/** Makes a fresh private folder with the agent's configuration: the control plane is new as well. */
async function prepareAgent(controlPlane: ControlPlane, screen: Screen): Promise<DevAgentOptions> {
  const root = resolve(import.meta.dirname ?? ".", "../..");
  const folder = join(root, ".dev", String(controlPlane.port));
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
  };
  await Deno.writeTextFile(configFile, JSON.stringify(config, null, 2) + "\n", { mode: 0o600 });
  return { root, configFile, apiUrl, stateFile, show: (line) => screen.agent(line) };
}

async function startOnFreePort(): Promise<ControlPlane> {
  for (let port = FIRST_PORT;; port++) {
    try {
      // The claim of an agent that was started again must not take the next task with it.
      return await startControlPlane({ port, autoApprove: true, claimsOutliveCallers: false });
    } catch (thrown) {
      const isTaken = thrown instanceof Error && "code" in thrown && thrown.code === "EADDRINUSE";
      if (!isTaken || port >= FIRST_PORT + 100) throw thrown;
    }
  }
}
