import "../system/uncompiled_schemas.ts";
import { guarded } from "./guarded.ts";
import { run } from "./run.ts";

export { run };

/** Runs the agent, as the whole command line does: what a release has in one file for it. */
export function daemon(args: string[]): Promise<number> {
  return guarded(args, run);
}
