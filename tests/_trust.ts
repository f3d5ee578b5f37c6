import { join, resolve } from "@std/path";
import { AGENT, agentCommand, FROM_SOURCE } from "./_command.ts";

const ROOT = new URL("..", import.meta.url).pathname;
/** {@linkcode AGENT} for any working directory. */
const ANYWHERE = FROM_SOURCE
  ? [...AGENT.slice(0, 2), "--config", join(ROOT, "deno.json"), ...AGENT.slice(2, -1)]
    .concat(join(ROOT, "mod.ts"))
  : [resolve(ROOT, AGENT[0] ?? ""), ...AGENT.slice(1)];

/** What a command has said, both streams together, and how it has ended. */
export interface Said {
  code: number;
  text: string;
}

/** Runs one command of the agent's in a folder, where nothing but the folder names a configuration. */
export async function sayIn(
  cwd: string,
  args: string[],
  { env = {}, through = [] }: { env?: Record<string, string>; through?: string[] } = {},
): Promise<Said> {
  const { code, stdout, stderr } = await agentCommand(args, {
    through,
    command: ANYWHERE,
    cwd,
    env: { NODERAX_CONFIG_FILE: "", ...env },
  }).output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** Somebody's own control plane, which keeps the credentials that it is sent. */
export class Stranger implements AsyncDisposable {
  /** The Authorization headers that were sent. */
  readonly tokens: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    this.#server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
      const token = request.headers.get("authorization");
      if (token) this.tokens.push(token);
      const timestamp = new Date().toISOString();
      const message = "nothing here";
      const { pathname: path } = new URL(request.url);
      return Response.json({ statusCode: 404, path, timestamp, message }, { status: 404 });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** A folder of root's, 0755 so that others may look into it. */
export async function openFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "trust_" });
  await Deno.chmod(folder, 0o755);
  return folder;
}

/** What starts a program as this user, who may read all files: sources and Deno may be root's. */
export function asUser(name: string): string[] {
  const may = "+dac_read_search";
  const who = ["--reuid", name, "--regid", name, "--init-groups"];
  return ["setpriv", ...who, "--inh-caps", may, "--ambient-caps", may, "--"];
}
