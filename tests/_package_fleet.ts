import { join } from "@std/path";
import * as z from "@zod/zod";
import type { Task } from "../scripts/dev/control_plane.ts";
import { asAgent, type Launch } from "../src/privileges/launch.ts";
import { packageChange } from "../src/packages/package_tasks.ts";
import { Mutex } from "../src/system/mutex.ts";
import { contextOf } from "../src/tasks/_test_task_context.ts";
import type { TaskOutcome } from "../src/tasks/task_type.ts";
import { type AgentProcess, Fleet } from "./_agent.ts";
import { PackageRepository, type TinyPackage } from "./_packages.ts";
import { eventually, PATIENCE_MS } from "./_processes.ts";

/** The result of a package change as the contract and this agent have it. */
const Result = z.object({
  names: z.array(z.string()),
  operation: z.string(),
  changed: z.array(z.strictObject({
    name: z.string(),
    from: z.string().default(""),
    to: z.string().default(""),
  })),
  exitCode: z.int(),
  durationMs: z.int(),
  error: z.string(),
}).partial();

/** How a package change ended; names are suffixes, and a change reads `suffix from>to`. */
interface Story extends Pick<z.infer<typeof Result>, "operation" | "exitCode" | "durationMs"> {
  status: string;
  /** "" where there is none. */
  error: string;
  names: string[] | undefined;
  changed: string[];
  /** The agent's own lines in the log. */
  system: string;
  /** What apt said. */
  stdout: string;
}

/** A fleet with an agent that knows the packages of a repository and no others. */
export class PackageFleet implements AsyncDisposable {
  readonly repository: PackageRepository;
  readonly fleet: Fleet;
  #agent: AgentProcess;

  private constructor(repository: PackageRepository, fleet: Fleet, agent: AgentProcess) {
    this.repository = repository;
    this.fleet = fleet;
    this.#agent = agent;
  }

  static async start(packages: TinyPackage[]): Promise<PackageFleet> {
    await using made = new AsyncDisposableStack();
    const repository = made.use(await PackageRepository.build(packages));
    const fleet = made.use(await Fleet.start());
    const agent = await fleet.agent(repository.env);
    made.move();
    return new PackageFleet(repository, fleet, agent);
  }

  /** Queues a task on packages with these suffixes, in the platform's way. */
  queue(type: string, suffixes: string[], more: Record<string, unknown> = {}): string {
    const names = suffixes.map((suffix) => this.repository.name(suffix));
    const payload = { names, packages: names, package: names[0], ...more };
    return this.fleet.controlPlane.queueTask({ type, payload });
  }

  /** Runs such a task to its end. */
  async run(
    type: string,
    suffixes: string[],
    more: Record<string, unknown> = {},
  ): Promise<Story> {
    return this.story(await this.fleet.ended(this.queue(type, suffixes, more)));
  }

  /** What a task that has ended has to tell. */
  story({ id, status, result, completion }: Readonly<Task>): Story {
    const { changed = [], names, error, ...rest } = Result.parse(result ?? {});
    const { controlPlane } = this.fleet;
    const suffix = (name: string) => name.replace(this.repository.name(""), "");
    return {
      status,
      error: error ?? completion?.error ?? "",
      ...rest,
      names: names?.map(suffix),
      changed: changed.map(({ name, from, to }) => `${suffix(name)} ${from}>${to}`),
      system: controlPlane.streamText(id, "system"),
      stdout: controlPlane.streamText(id, "stdout"),
    };
  }

  /** Waits until a task's log of the agent itself has these words. */
  async says(taskId: string, words: RegExp): Promise<void> {
    const text = () => this.fleet.controlPlane.streamText(taskId, "system");
    const look = () => Promise.resolve(words.test(text()));
    await eventually(`${words} in the log`, look, PATIENCE_MS, async () => {
      const story = this.story(this.fleet.controlPlane.task(taskId));
      return `${JSON.stringify(story)}\n${await this.#agentStory()}`;
    });
  }

  /** Waits until the held package is being configured. */
  async held(): Promise<void> {
    const path = this.repository.path("held");
    const look = () => Deno.stat(path).catch(() => undefined);
    await eventually("the held package", look, PATIENCE_MS, () => this.#agentStory());
  }

  /** Lets the held package go on. */
  async go(): Promise<void> {
    await Deno.writeTextFile(this.repository.path("go"), "");
  }

  /** Kills the agent, its tasks go on; then starts it again. */
  async restart(): Promise<void> {
    await this.#agent.kill();
    this.#agent = await this.fleet.agent(this.repository.env);
  }

  /** What there is to know when something does not come. */
  async #agentStory(): Promise<string> {
    const events = this.#agent.events.slice(-20).map((event) => JSON.stringify(event));
    return [await this.repository.story(), ...events, ...this.#agent.otherOutput].join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.go();
    await this.#agent[Symbol.asyncDispose]();
    await this.fleet[Symbol.asyncDispose]();
    await this.repository[Symbol.asyncDispose]();
  }
}

/** Runs a change in this process, in an environment that only its apt sees. */
export async function install(
  name: string,
  options: {
    root: Launch;
    sudo?: boolean;
    refusal?: string;
    signal?: AbortSignal;
    leaveMs?: number;
  },
): Promise<TaskOutcome & { system: string }> {
  const { root, sudo = false, refusal, signal = new AbortController().signal, leaveMs } = options;
  let system = "";
  const notes = await Deno.makeTempDir({ prefix: "notes_" });
  const outcome = await packageChange("install", new Mutex(), leaveMs).prepare({ names: [name] })(
    contextOf({
      privileges: { unprivileged: asAgent, root, sudo, allows: () => Promise.resolve(refusal) },
      signal,
      note: (name) => join(notes, name),
      onLines: (stream, lines) => {
        if (stream === "system") system += lines;
        return Promise.resolve();
      },
    }),
  ).finally(() => Deno.remove(notes, { recursive: true }));
  return { ...outcome, system };
}

/** Adds variables to what a launch starts with. */
export function withEnv(launch: Launch, more: Record<string, string>): Launch {
  return (command) => {
    const launched = launch(command);
    return { ...launched, env: { ...launched.env, ...more } };
  };
}
