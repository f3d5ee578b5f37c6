import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";

const TEMP = "TMPDIR";

/** The world that {@linkcode loadAddonWithin} sees. */
export interface AddonWorld {
  /** Whether the agent is a compiled program, whose addon has to be unpacked. */
  compiled?: boolean;
  /** The process's environment. */
  environment?: Pick<Deno.Env, "get" | "set" | "delete">;
  /** Loads the addon. */
  load?: () => Promise<unknown>;
}

/**
 * Loads the addon of the terminals while `folder`, the agent's own, is the temp folder: a compiled
 * agent unpacks it there, and what is there can be run. Tasks inherit the environment as it is when
 * they begin, so this is to be over before the first does. Any other agent loads the addon with the
 * first terminal, which is cheaper; so does this one again, when it fails here.
 */
export async function loadAddonWithin(
  folder: string | undefined,
  logger: Logger,
  { compiled = Deno.build.standalone, environment = Deno.env, load = loadPty }: AddonWorld = {},
): Promise<void> {
  // What is still in the environment is everybody's.
  if (!compiled || folder === undefined || environment.get(TEMP) !== undefined) return;
  environment.set(TEMP, folder);
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    await load();
  } catch (error) {
    logger.warn("terminals may not work", { folder, error: messageOf(error) });
  } finally {
    environment.delete(TEMP);
  }
}

async function loadPty(): Promise<void> {
  await import("node-pty");
}
