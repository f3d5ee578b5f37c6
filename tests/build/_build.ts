import project from "../../deno.json" with { type: "json" };

const ROOT = new URL("../..", import.meta.url);

/** What a build has printed and how it has ended. */
export interface Built {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a build as its task in deno.json does, with `output` in the place of dist. */
export async function build(
  task: "compile" | "bundle" | "release",
  output: string,
  options: { target?: string; env?: Record<string, string> } = {},
): Promise<Built> {
  const { target = Deno.build.target, env = {} } = options;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...project.tasks[task].command.split(" ").slice(1),
      ...["--target", target, "--output", output],
    ],
    cwd: ROOT,
    env,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
