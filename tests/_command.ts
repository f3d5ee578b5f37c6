import { join } from "@std/path";
import project from "../deno.json" with { type: "json" };

const ROOT = new URL("..", import.meta.url);
const GIVEN = Deno.env.get("NODERAX_TEST_COMMAND")?.trim();

/** Whether the agent that is tested is the checkout's, run from source. */
export const FROM_SOURCE = !GIVEN;

/**
 * The command line of the agent that is tested, to be started in the checkout: what
 * NODERAX_TEST_COMMAND states, its words separated by spaces; else `deno task agent`.
 */
export const AGENT: readonly string[] = GIVEN
  ? GIVEN.split(/\s+/)
  : [Deno.execPath(), ...project.tasks.agent.command.split(" ").slice(1)];

/**
 * The environment of an agent that gets another HOME: where Deno keeps the packages that it has
 * fetched. One that is run from source would fetch all of them anew.
 */
export const FETCHED: Readonly<Record<string, string>> = {
  XDG_CACHE_HOME: Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME") ?? "", ".cache"),
};

/** How {@linkcode agentCommand} is started, besides what every command can be told. */
export interface AgentOptions extends Omit<Deno.CommandOptions, "args"> {
  /** A program, with its arguments, that starts the agent in its place. */
  through?: readonly string[];
  /** Another agent's command line than {@linkcode AGENT}. */
  command?: readonly string[];
}

/** The agent that is tested, about to be started with these arguments. */
export function agentCommand(args: readonly string[], options: AgentOptions = {}): Deno.Command {
  const { through = [], command = AGENT, ...others } = options;
  const [program = "", ...before] = [...through, ...command];
  return new Deno.Command(program, {
    args: [...before, ...args],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...others,
  });
}
