/** What a tool of the machine has answered. */
export interface ToolResult {
  /** Its exit code; 127 when the machine does not have it. */
  code: number;
  /** Its standard output, without the last line's end. */
  stdout: string;
  /** Its standard error, likewise. */
  stderr: string;
}

/** Runs a tool of the machine to its end, without a shell and with nothing to read. */
export type RunTool = (program: string, ...args: string[]) => Promise<ToolResult>;

/** {@linkcode RunTool} on this machine, with plain English output and times in UTC. */
export async function runTool(program: string, ...args: string[]): Promise<ToolResult> {
  const command = new Deno.Command(program, {
    args,
    env: { LC_ALL: "C.UTF-8", TZ: "UTC" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
  try {
    const { code, stdout, stderr } = await command.output();
    return { code, stdout: textOf(stdout), stderr: textOf(stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { code: 127, stdout: "", stderr: `${program}: not found` };
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).trimEnd();
}
