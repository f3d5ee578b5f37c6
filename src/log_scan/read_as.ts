import { type ChildStart, runChildFor } from "../system/run_child.ts";
import { outside } from "../system/sandbox.ts";
import { UserError } from "../system/user_error.ts";
import type { Launch } from "../privileges/launch.ts";

/** The console waits 10 s for an answer (contract: log.scan); in milliseconds. */
const LIMIT_MS = 8_000;
/** What a program may say of its failure, in characters. */
const MAX_SAID = 4_096;

/** Something that the rights of its reader do not suffice for. */
export class NotPermittedError extends UserError {
  /** `said` is what the program that was to read it has to say. */
  constructor(what: string, said: string) {
    const why = said.replace(/^dd: failed to open '.*': /, "");
    const todo = /permission/i.test(why)
      ? ': scan it with runAsRoot and rootScope "operational"'
      : "";
    super(`${what} cannot be read: ${why}${todo}.`);
  }
}

/** Reads with somebody's rights. */
export interface Read {
  /** So many bytes of a file from an offset on; fewer at its end. */
  file(path: string, offset: number, count: number): Promise<Uint8Array>;
  /** At most so many bytes of what a program prints; it is ended then. */
  program(argv: string[], maxBytes: number): Promise<ChildStart>;
}

/** Reads with the rights that `launch` gives. */
export function readAs(launch: Launch, signal: AbortSignal): Read {
  const program = async (argv: string[], maxBytes: number) => {
    const { argv: launched, env } = launch({ argv });
    const argvOutside = outside(launched, env);
    const end = await runChildFor(maxBytes, argvOutside, { env, signal, limitMs: LIMIT_MS });
    const stderr = end.stderr.slice(0, MAX_SAID).trim().replaceAll(/\s+/g, " ");
    return { ...end, stderr };
  };
  const file = async (path: string, offset: number, count: number) => {
    if (count <= 0) return new Uint8Array();
    // Neither a link nor a pipe that comes into the file's place is followed or waited for.
    const { code, stdout, stderr } = await program([
      ...["dd", `if=${path}`, "bs=64K", "status=none"],
      "iflag=nofollow,nonblock,fullblock,skip_bytes,count_bytes",
      ...[`skip=${offset}`, `count=${count}`],
    ], count);
    if (code !== 0) throw new NotPermittedError(path, stderr || `dd ended with ${code}`);
    return stdout;
  };
  return { file, program };
}
