import { dirname, join } from "@std/path";
import { requireOwnFolder } from "../system/trust.ts";
import { answer, type Page, serveOn } from "./http_listener.ts";
import type { HealthMonitor } from "./health_monitor.ts";

const PAGES: readonly Page[] = ["/status", "/healthz", "/readyz", "/metrics"];
/** Where the socket is made: its path is no longer than that of any socket beside it. */
const NURSERY = ".new";

/**
 * Serves {@linkcode PAGES} on a unix socket until it is disposed, which waits for no client. The
 * socket is its owner's alone from the first moment on: it is made in a folder that nobody else can
 * enter, and takes the place of what a dead agent left at `path`. That no living one does is for the
 * caller to know.
 *
 * @throws what the system answers; a path may have 107 bytes at most.
 */
export async function serveSocket(path: string, health: HealthMonitor): Promise<AsyncDisposable> {
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await requireOwnFolder(dirname(path), "The folder of the status socket");
  const folder = join(dirname(path), NURSERY);
  await removeIfThere(folder);
  await Deno.mkdir(folder, { mode: 0o700 });
  const born = join(folder, "s");
  try {
    const listener = Deno.listen({ transport: "unix", path: born });
    try {
      await Deno.chmod(born, 0o600);
      await Deno.rename(born, path);
    } catch (error) {
      listener.close();
      throw error;
    }
    const server = serveOn(listener, (asked) => answer(asked, health, PAGES));
    return {
      [Symbol.asyncDispose]: async () => {
        server[Symbol.dispose]();
        // What stays behind does no harm: the next agent takes its place.
        await Deno.remove(path).catch(() => {});
        if (dirname(path).startsWith("/tmp/")) await Deno.remove(dirname(path)).catch(() => {});
      },
    };
  } finally {
    await removeIfThere(folder);
  }
}

async function removeIfThere(folder: string): Promise<void> {
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
