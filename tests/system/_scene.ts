import assert from "node:assert/strict";
import {
  type ControlPlane,
  startControlPlane,
  type Task,
} from "../../scripts/dev/control_plane.ts";
import type { AgentStatus } from "../../src/health/agent_status.ts";
import { INSTALLED, SERVICE } from "../../src/system/paths.ts";
import type { ServiceState } from "../../src/system/systemd.ts";
import { eventually, PATIENCE_MS } from "../_processes.ts";
import type { Bundles } from "./_bundles.ts";
import { type JournalEntry, Machine, type Ran } from "./_machine.ts";

/** What is done in a scene, in this order, each told by a sentence. */
export type Steps = Record<string, (scene: Scene) => Promise<void>>;

/** Where the machine sees the bundles. */
export const BUNDLES = "/srv/bundles";

/** Where the machine sees what is for fleets. */
export const FLEET = "/srv/fleet";
const FLEET_SOURCE = new URL("../../scripts/fleet", import.meta.url).pathname;

/** A machine, a control plane in its reach, and the agent that is installed on it. */
export class Scene implements AsyncDisposable {
  /** The machine. */
  readonly machine: Machine;
  /** The control plane. */
  readonly controlPlane: ControlPlane;
  /** What can be installed. */
  readonly bundles: Bundles;
  readonly #installTokens: string[] = [];

  private constructor(machine: Machine, controlPlane: ControlPlane, bundles: Bundles) {
    this.machine = machine;
    this.controlPlane = controlPlane;
    this.bundles = bundles;
  }

  /** Boots the machine; `shown` are more folders that it sees (outside → inside). */
  static async open(
    rootFolder: string,
    bundles: Bundles,
    shown: Record<string, string> = {},
  ): Promise<Scene> {
    // Each restart would cost the next task a minute (docs/operations.md).
    const options = {
      rateLimits: false,
      claimsOutliveCallers: false,
      terminalOpenMs: PATIENCE_MS,
      terminalStopMs: PATIENCE_MS,
    };
    const controlPlane = await startControlPlane(options);
    try {
      const machine = await Machine.boot(rootFolder, {
        ...shown,
        [bundles.folder]: BUNDLES,
        [FLEET_SOURCE]: FLEET,
      });
      return new Scene(machine, controlPlane, bundles);
    } catch (error) {
      await controlPlane[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The node that was enrolled last. */
  get node(): ControlPlane["nodes"][number] {
    const node = this.controlPlane.nodes.at(-1);
    if (!node) throw new Error("the machine is not enrolled");
    return node;
  }

  /** Makes a token for an installation without anybody there; the machine's old node is deleted. */
  addInstall(): string {
    // Hostnames are unique.
    for (const { nodeId } of this.controlPlane.nodes) this.controlPlane.deleteNode(nodeId);
    const token = this.controlPlane.addInstall();
    this.#installTokens.push(token);
    return token;
  }

  /** What nobody may be shown. */
  secrets(): string[] {
    const { nodes, enrollments } = this.controlPlane;
    const agentTokens = nodes.map(({ agentToken }) => agentToken);
    return [...agentTokens, ...enrollments.map(({ token }) => token), ...this.#installTokens];
  }

  /** Runs the installed command to its end. */
  agent(...args: string[]): Promise<Ran> {
    return this.machine.run("noderax-agent", ...args);
  }

  /**
   * Runs the installed command until what it says fits: what looks at the machine or asks the agent
   * gives each of them a few seconds, which a busy machine may not have.
   */
  async says(fits: (said: Ran) => boolean, ...args: string[]): Promise<Ran> {
    let last: Ran | undefined;
    const look = async () => fits(last = await this.agent(...args)) ? last : undefined;
    const story = () => Promise.resolve(`${last?.stdout}${last?.stderr}`);
    return await eventually(`the answer of ${args.join(" ")}`, look, undefined, story);
  }

  /** What `status --json` says of an agent that answers it. */
  async status(): Promise<{ service: ServiceState; agent: AgentStatus }> {
    const answers = ({ stdout }: Ran) => JSON.parse(stdout).agent !== null;
    return JSON.parse((await this.says(answers, "status", "--json")).stdout);
  }

  /** The standard output of the installed command, which must succeed. */
  tells(...args: string[]): Promise<string> {
    return this.machine.output("noderax-agent", ...args);
  }

  /** Changes a value that needs no restart, and waits until the agent, which runs, goes by it. */
  async configures(...change: string[]): Promise<void> {
    await this.reloaded(() => this.tells("config", ...change));
  }

  /** Has the agent read its configuration, and waits until it has. */
  async reloaded(reload: () => Promise<unknown>): Promise<void> {
    const script = 'journalctl --sync; journalctl --unit "$0" --output=cat | grep -c "$1" || true';
    const count = ["sh", "-c", script, SERVICE, "configuration reloaded"];
    const before = Number(await this.machine.output(...count));
    await reload();
    await this.until("the agent to read its configuration", async () => {
      return Number(await this.machine.output(...count)) > before;
    });
  }

  /** A property of the service as systemd tells it. */
  property(name: string): Promise<string> {
    return this.machine.output("systemctl", "show", SERVICE, "--value", `--property=${name}`);
  }

  /** Waits until something holds that announces itself to nobody. */
  until<T>(what: string, look: () => Promise<T>): Promise<NonNullable<T>> {
    return eventually(what, look);
  }

  /**
   * Kills the agent; gives which process it was. No death before it counts for the pause until the
   * next start, which grows from one to the next else.
   */
  async kill(): Promise<string> {
    const pid = await this.until("an agent to be killed", async () => {
      const pid = await this.property("MainPID");
      // That would be whoever has started this, and this.
      return pid === "0" ? undefined : pid;
    });
    const script = `rm -f ${INSTALLED.runtimeFolder}/pause; kill -KILL ${pid}`;
    await this.machine.output("sh", "-c", script);
    return pid;
  }

  /** Waits until the agent is another process than this one. */
  async another(pid: string): Promise<void> {
    await this.until("another agent", async () => {
      return !["0", pid].includes(await this.property("MainPID"));
    });
  }

  /** Waits until the agent is well: connected, and its session up. */
  async well(): Promise<void> {
    await this.until("a healthy agent", async () => {
      return (await this.agent("status", "--check")).code === 0;
    });
  }

  /** Queues a shell command. */
  shell(command: string, payload: Record<string, unknown> = {}): string {
    return this.controlPlane.queueTask({ type: "shell.exec", payload: { command, ...payload } });
  }

  /** Waits until a task has ended, in whatever way. */
  ended(taskId: string): Promise<Readonly<Task>> {
    const ends = ["success", "failed", "cancelled"] as const;
    return this.controlPlane.waitForTask(taskId, [...ends]);
  }

  /** What a shell command prints that must succeed. */
  async output(command: string, payload: Record<string, unknown> = {}): Promise<string> {
    const { id, status, completion } = await this.ended(this.shell(command, payload));
    assert.equal(status, "success", `${command}: ${completion?.error} ${completion?.output}`);
    return this.controlPlane.streamText(id, "stdout");
  }

  /** A task that runs and does not end by itself, with a child of its own and one that got away. */
  async endlessTask(): Promise<EndlessTask> {
    const mark = `4${Math.floor(Math.random() * 1e8)}`;
    const taskId = this.shell(`setsid sleep ${mark} & sleep ${mark}; echo over`);
    const living = async () => {
      const { stdout } = await this.machine.run("pgrep", "-fx", `sleep ${mark}`);
      return stdout.split("\n").filter((line) => line !== "").length;
    };
    await this.until("the processes of the task", async () => await living() === 2);
    return { taskId, living };
  }

  /** The agent's own lines of the journal, and systemd's about it. */
  journal(): Promise<JournalEntry[]> {
    return this.machine.journal(SERVICE);
  }

  /** Powers the machine off and ends the control plane. */
  async [Symbol.asyncDispose](): Promise<void> {
    await using _controlPlane = this.controlPlane;
    await this.machine[Symbol.asyncDispose]();
  }
}

/** See {@linkcode Scene.endlessTask}. */
export interface EndlessTask {
  taskId: string;
  /** How many of its processes live. */
  living(): Promise<number>;
}
