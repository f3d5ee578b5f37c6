import project from "../../deno.json" with { type: "json" };
import * as z from "@zod/zod";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { stripVTControlCharacters } from "node:util";

const AGENT = project.tasks.agent.command.split(" ").slice(1);
/** Longer than the shutdown_timeout in the configuration made for the agent. */
const STOP_LIMIT_MS = 15_000;
/** An editor that saves, or a checkout, changes several files within this time. */
const SETTLE_MS = 100;
/** Deno says so at every start, and nobody can do anything about it. */
const DENO_WARNING = "Permissions in the config file is an experimental feature";

/** Where an agent's files are and how its lines are shown. */
export interface DevAgentOptions {
  /** The checkout. */
  root: string;
  configFile: string;
  apiUrl: string;
  stateFile: string;
  show(line: string): void;
  /** A file has changed: resolves when nothing runs that a new start would kill. */
  idle(signal: AbortSignal): Promise<void>;
  /** It starts again, or is about to run for the first time. */
  starting(): void;
}

/** Enrolls by the real command; false when it failed. What it says is shown only then. */
export async function enrollDevAgent(options: DevAgentOptions): Promise<boolean> {
  const said: string[] = [];
  const quiet = { ...options, show: (line: string) => void said.push(line) };
  const agent = new AgentProcess(quiet, ["enroll", "--email", "dev@example.com"]);
  const { success } = await agent.ended;
  if (!success) said.forEach(options.show);
  return success;
}

/**
 * Runs the agent from the checkout until the signal is aborted, and again after each change of its
 * source, as soon as it is idle. `deno run --watch` would do neither end: it ends the program
 * without a SIGTERM, and starts it again without the environment variables that the agent takes
 * away from its tasks.
 */
export async function runDevAgent(options: DevAgentOptions, signal: AbortSignal): Promise<void> {
  using watcher = Deno.watchFs(["src", "mod.ts", "deno.json"].map((it) => `${options.root}/${it}`));
  let changed = Promise.withResolvers<void>();
  let settling: ReturnType<typeof setTimeout> | undefined;
  signal.addEventListener("abort", () => watcher.close(), { once: true });
  const watching = (async () => {
    for await (const { kind, paths } of watcher) {
      if (kind === "access" || paths.every((path) => !/(?<!_test)\.(ts|json)$/.test(path))) {
        continue;
      }
      clearTimeout(settling);
      settling = setTimeout(() => changed.resolve(), SETTLE_MS);
    }
    clearTimeout(settling);
    changed.resolve();
  })();
  while (!signal.aborted) {
    changed = Promise.withResolvers();
    options.starting();
    await using agent = new AgentProcess(options, ["run"]);
    const ended = await Promise.race([agent.ended, changed.promise]);
    if (ended) {
      const how = ended.signal ?? `code ${ended.code}`;
      options.show(`ended by itself (${how}); it starts again after a change`);
      await changed.promise;
    } else if (!signal.aborted) await options.idle(signal);
    if (!signal.aborted) options.show("a file has changed: starting again");
  }
  await watching;
}

/** One process of the agent. */
class AgentProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  /** Resolves when it has ended and its last line is shown. */
  readonly ended: Promise<Deno.CommandStatus>;

  /** Detached, so that Ctrl-C reaches this program alone, which then stops the agent in order. */
  constructor({ root, configFile, apiUrl, stateFile, show }: DevAgentOptions, args: string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...AGENT, ...args],
      cwd: root,
      env: {
        NODERAX_CONFIG_FILE: configFile,
        // These would win over the file if the shell had them.
        NODERAX_API_URL: apiUrl,
        STATE_FILE: stateFile,
        ENROLLMENT_TOKEN: "",
        NODE_ID: "",
        AGENT_TOKEN: "",
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    const { stdout, stderr, status } = this.#child;
    const shown = [showLines(stdout, show), showLines(stderr, show)];
    this.ended = Promise.all([status, ...shown]).then(([ended]) => ended);
  }

  /** SIGTERM, time to finish, SIGKILL. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#send("SIGTERM");
    const limit = setTimeout(() => this.#send("SIGKILL"), STOP_LIMIT_MS);
    await this.ended;
    clearTimeout(limit);
  }

  #send(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
  }
}

async function showLines(
  stream: ReadableStream<Uint8Array>,
  show: (line: string) => void,
): Promise<void> {
  const text = stream.pipeThrough(new TextDecoderStream());
  for await (const line of createInterface({ input: Readable.from(text) })) {
    const plain = stripVTControlCharacters(line);
    if (!plain.includes(DENO_WARNING)) show(pretty(plain));
  }
}

const logEvent = z.looseObject({ time: z.string(), level: z.string(), msg: z.string() });

/** A JSON log event as `level msg key=value …`; any other line as it is. */
function pretty(line: string): string {
  if (!line.startsWith("{")) return line;
  try {
    const { time: _, level, msg, ...fields } = logEvent.parse(JSON.parse(line));
    const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
    return `${level} ${msg}${rest.join("")}`;
  } catch {
    return line;
  }
}
