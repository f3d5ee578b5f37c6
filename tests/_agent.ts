import { join } from "@std/path";
import { type ControlPlane, startControlPlane, type Task } from "../scripts/dev/control_plane.ts";
import { agentCommand, type AgentOptions, FETCHED } from "./_command.ts";
import { eventually, killIfThere, livingWith, PATIENCE_MS, peakMemoryMib } from "./_processes.ts";

/** One line of the agent's log. */
export interface LogEvent {
  time: string;
  level: string;
  msg: string;
  [field: string]: unknown;
}

/** The agent as a process, started the way its users start it. */
export class AgentProcess implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  /** Everything it has logged. */
  readonly events: LogEvent[] = [];
  /** What it wrote that is no log event, on either stream. */
  readonly otherOutput: string[] = [];
  #exited = false;
  #waiting: { fits: (event: LogEvent) => boolean; resolve: (event: LogEvent) => void }[] = [];
  readonly #read: Promise<unknown>;

  constructor(configFile: string, options: AgentOptions & { args?: string[] } = {}) {
    const { args = ["run"], env, ...others } = options;
    this.child = agentCommand(args, {
      env: { NODERAX_CONFIG_FILE: configFile, ...env },
      ...others,
    }).spawn();
    this.#read = Promise.all([
      eachLine(this.child.stdout, (line) => this.#onLine(line)),
      eachLine(this.child.stderr, (line) => this.otherOutput.push(line)),
      this.child.status.then(() => this.#exited = true),
    ]);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** The events with this message. */
  logged(msg: string): LogEvent[] {
    return this.events.filter((event) => event.msg === msg);
  }

  /** The most memory it has had resident so far, in MiB. */
  peakMemoryMib(): Promise<number> {
    return peakMemoryMib(this.pid);
  }

  /** Resolves with the first event, past or to come, that fits. */
  async waitForLog(
    msg: string,
    fits: (event: LogEvent) => boolean = () => true,
    limitMs = PATIENCE_MS,
  ): Promise<LogEvent> {
    const wanted = (event: LogEvent) => event.msg === msg && fits(event);
    const past = this.events.find(wanted);
    if (past) return past;
    const { promise, resolve, reject } = Promise.withResolvers<LogEvent>();
    this.#waiting.push({ fits: wanted, resolve });
    const timer = setTimeout(() => {
      const story = [...this.events.map((event) => JSON.stringify(event)), ...this.otherOutput];
      reject(new Error(`no log event "${msg}" within ${limitMs} ms; logged:\n${story.join("\n")}`));
    }, limitMs);
    return await promise.finally(() => clearTimeout(timer));
  }

  /** Sends a signal to it, unless it has ended: that may not be known here yet. */
  signal(signal: Deno.Signal): void {
    if (this.#exited) return;
    try {
      this.child.kill(signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound || error instanceof TypeError)) throw error;
    }
  }

  /** Waits for its end and for all of its output. */
  async ended(): Promise<Deno.CommandStatus> {
    const status = await this.child.status;
    await this.#read;
    return status;
  }

  /** Ends it as a power cut does. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended();
  }

  /** Stops it as a service manager does. */
  async stop(): Promise<Deno.CommandStatus> {
    this.signal("SIGTERM");
    return await this.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #onLine(line: string): void {
    let event: LogEvent;
    try {
      event = JSON.parse(line);
    } catch {
      this.otherOutput.push(line);
      return;
    }
    this.events.push(event);
    this.#waiting = this.#waiting.filter(({ fits, resolve }) => {
      if (!fits(event)) return true;
      resolve(event);
      return false;
    });
  }
}

async function eachLine(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void) {
  let partial = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (partial + text).split("\n");
    partial = lines.pop() ?? "";
    lines.forEach(onLine);
  }
  if (partial) onLine(partial);
}

/** A control plane, a folder and an enrolled node's configuration. */
export class Fleet implements AsyncDisposable {
  readonly controlPlane: ControlPlane;
  readonly folder: string;
  readonly configFile: string;
  readonly nodeId: string;
  readonly agentToken: string;
  /** In the environment of every agent of this fleet, and so of every process of their tasks. */
  readonly #mark = `TEST_FLEET=${crypto.randomUUID()}`;

  private constructor(controlPlane: ControlPlane, folder: string, node: Fleet["node"]) {
    this.controlPlane = controlPlane;
    this.folder = folder;
    this.configFile = join(folder, "config.json");
    this.nodeId = node.nodeId;
    this.agentToken = node.agentToken;
  }

  get node(): { nodeId: string; agentToken: string } {
    return { nodeId: this.nodeId, agentToken: this.agentToken };
  }

  /** The folder of the agent's state. */
  get stateFolder(): string {
    return join(this.folder, "state");
  }

  /** Where the journal is. */
  get tasksFolder(): string {
    return join(this.stateFolder, "tasks");
  }

  static async start(
    config: Record<string, unknown> = {},
    options: Parameters<typeof startControlPlane>[0] = {},
  ): Promise<Fleet> {
    const controlPlane = await startControlPlane({
      rateLimits: false,
      terminalOpenMs: PATIENCE_MS,
      terminalStopMs: PATIENCE_MS,
      ...options,
    });
    const folder = await Deno.makeTempDir({ prefix: "noderax-test-" });
    const fleet = new Fleet(controlPlane, folder, controlPlane.addNode());
    await fleet.configure(config);
    return fleet;
  }

  /** Writes the configuration file anew. */
  async configure(config: Record<string, unknown>): Promise<void> {
    await Deno.writeTextFile(
      this.configFile,
      JSON.stringify({
        api_url: this.controlPlane.url,
        node_id: this.nodeId,
        agent_token: this.agentToken,
        state_file: join(this.stateFolder, "agent_identity.json"),
        realtime_enabled: false,
        reconnect_spread: "0s",
        task_poll_interval: "2s",
        ...config,
      }),
    );
  }

  /** Starts an agent whose login shells read nobody's own settings: those may take their time. */
  spawnAgent(
    env: Record<string, string> = {},
    options: Omit<AgentOptions, "env"> = {},
  ): AgentProcess {
    const [name = "", value = ""] = this.#mark.split("=");
    const own = { [name]: value, HOME: this.folder, ...FETCHED };
    return new AgentProcess(this.configFile, { ...options, env: { ...own, ...env } });
  }

  /** Starts an agent and waits until it is up. */
  async agent(env: Record<string, string> = {}): Promise<AgentProcess> {
    const agent = this.spawnAgent(env);
    await agent.waitForLog("agent started");
    return agent;
  }

  /** Queues a shell command. */
  shell(command: string, payload: Record<string, unknown> = {}): string {
    return this.controlPlane.queueTask({ type: "shell.exec", payload: { command, ...payload } });
  }

  /** Waits until a task has ended, in whatever way. */
  ended(taskId: string, limitMs = PATIENCE_MS): Promise<Readonly<Task>> {
    return this.controlPlane.waitForTask(taskId, ["success", "failed", "cancelled"], limitMs);
  }

  /** Waits until the journal holds nothing of a task any more. */
  async closed(taskId: string): Promise<void> {
    await eventually(`the end of the journal of ${taskId}`, async () => {
      const names = await Array.fromAsync(Deno.readDir(this.tasksFolder), ({ name }) => name);
      return !names.some((name) => name.startsWith(taskId));
    });
  }

  /** The lines of a task's stream as operators read them. */
  lines(taskId: string, stream = "stdout"): string[] {
    return this.controlPlane.streamText(taskId, stream).split("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What has begun meanwhile, and what takes its time to go, could still put files into the folder.
    await eventually("the end of all processes of the fleet", async () => {
      const pids = await livingWith(this.#mark);
      for (const pid of pids) killIfThere(pid);
      return pids.length === 0;
    });
    await this.controlPlane[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }
}
