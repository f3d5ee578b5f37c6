import type { LogStream } from "../control_plane/schemas.ts";
import { LineDecoder } from "../logs/log_entries.ts";
import type { SecretMask } from "../logs/secret_mask.ts";
import { childHost } from "./child_host.ts";
import type { HostCommand, OutputChunk, ProgramEnd } from "./host.ts";
import type { ProcessGroup } from "./process_table.ts";

/** How a process ended. */
export type ProcessResult = ProgramEnd;

/** A process to run to its end. */
export interface RunOptions extends HostCommand {
  /** Called with the group before the program begins; it waits for the promise. */
  onSpawn: (group: ProcessGroup) => Promise<void>;
  /** Masks the output. */
  mask: SecretMask;
  /** Takes whole lines; reading goes on when the promise is kept. */
  onLines: (stream: LogStream, lines: string) => Promise<void>;
}

/**
 * Runs a process and reads the lines of its output to the end.
 *
 * @throws what the spawn throws when the process cannot be started.
 */
export async function runProcess(options: RunOptions): Promise<ProcessResult> {
  const program = await childHost.start(options);
  await options.onSpawn(program.group);
  await program.open();
  for await (const { stream, lines } of linesOf(program.output, options.mask)) {
    await options.onLines(stream, lines);
  }
  return await program.ended;
}

/** The lines of a program's output, masked, for a parser. */
export async function* linesOf(
  output: AsyncIterable<OutputChunk>,
  mask: SecretMask,
): AsyncGenerator<{ stream: OutputChunk["stream"]; lines: string }, void> {
  const decoders = { stdout: new LineDecoder(mask), stderr: new LineDecoder(mask) };
  for await (const { stream, bytes } of output) {
    const lines = decoders[stream].push(bytes);
    if (lines !== "") yield { stream, lines };
  }
  for (const stream of ["stdout", "stderr"] as const) {
    const lines = decoders[stream].end();
    if (lines !== "") yield { stream, lines };
  }
}
