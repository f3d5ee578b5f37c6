import { type Answer, NO_SUCH_PROGRAM, PLAIN, type Query } from "./query.ts";

/** Runs real programs, but for those that are to be missing. */
export function realQuery(env: Record<string, string> = {}, missing: string[] = []): Query {
  return async (program, ...args) => {
    if (missing.includes(program ?? "")) return answer("", NO_SUCH_PROGRAM);
    const command = new Deno.Command(program ?? "", { args, env: { ...PLAIN, ...env } });
    const { code, stdout, stderr } = await command.output();
    const decoder = new TextDecoder();
    return { exitCode: code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  };
}

/** What a program might have answered. */
export function answer(stdout: string, exitCode = 0, stderr = ""): Answer {
  return { exitCode, stdout, stderr };
}

/** Whether this machine has dpkg and apt. */
export const HAS_APT = ["dpkg-query", "apt-get", "apt-cache"].every((name) => {
  try {
    return Deno.statSync(`/usr/bin/${name}`).isFile;
  } catch {
    return false;
  }
});
