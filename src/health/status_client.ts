import { dirname, join, resolve } from "@std/path";
import { isTimeout, within } from "../system/deadline.ts";
import { folderProblem, lookAt, problemOf } from "../system/trust.ts";
import type { Page } from "./http_listener.ts";
import type { ReadEnv } from "../config/mod.ts";
import { INSTALLED, runtimeFolderOf } from "../system/paths.ts";

/** What came of asking the agent: its answer, or why there is none. */
export type Asked =
  | { outcome: "answered"; ok: boolean; text: string }
  /** There may be an agent, but this user must not ask it. */
  | { outcome: "denied" }
  /** What listens there may be anybody's, and is not asked. */
  | { outcome: "stranger"; why: string }
  /** There is one, but it does not answer. */
  | { outcome: "mute"; why: string }
  /** There is none. */
  | { outcome: "down" };

/** Asks the agent for a page on the first of `paths` where there is one; never throws. */
export async function askAgent(
  paths: readonly string[],
  page: Page,
  timeoutMs: number,
): Promise<Asked> {
  let last: Asked = { outcome: "down" };
  for (const path of paths) {
    const asked = await withinLimit(timeoutMs, (signal) => ask(path, page, signal));
    if (asked.outcome === "answered" || asked.outcome === "mute") return asked;
    if (asked.outcome !== "down") last = asked;
  }
  return last;
}

async function ask(path: string, page: Page, signal: AbortSignal): Promise<Asked> {
  try {
    // Unlike a failed request, a failed connection says by its type what is wrong.
    const connection = await Deno.connect({ transport: "unix", path });
    connection.close();
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) return { outcome: "denied" };
    // Too many wait to be served. All else means that nobody listens, at a socket or at none.
    if (error instanceof Deno.errors.WouldBlock) return { outcome: "mute", why: "it is too busy" };
    return { outcome: "down" };
  }
  const why = await strangerAt(path);
  if (why !== undefined) return { outcome: "stranger", why };
  try {
    using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    const response = await fetch(`http://localhost${page}`, { client, signal });
    return { outcome: "answered", ok: response.ok, text: await response.text() };
  } catch {
    return { outcome: "mute", why: "it hung up" };
  }
}

/**
 * Says why what listens at `path` may be neither root's nor one's own: who has made the socket
 * listens there, unless others may put their own in its place.
 */
async function strangerAt(path: string): Promise<string | undefined> {
  const problem = await folderProblem(dirname(path));
  if (problem !== undefined) return problem;
  const info = await lookAt(path);
  return info && problemOf(path, { uid: info.uid, mode: 0 });
}

async function withinLimit(
  ms: number,
  work: (signal: AbortSignal) => Promise<Asked>,
): Promise<Asked> {
  const over = new AbortController();
  try {
    return await within(work(over.signal), ms);
  } catch (error) {
    if (!isTimeout(error)) throw error;
    return { outcome: "mute", why: `no answer within ${ms / 1_000} s` };
  } finally {
    over.abort();
  }
}

const NAME = "agent.sock";
/** The kernel takes no longer path of a socket. */
const MAX_BYTES = 107;

/** Where the running agent serves: in the folder that systemd made for it, else with its state. */
export function ownSocketPath(env: ReadEnv, stateFile: string): string {
  const runtime = join(runtimeFolderOf(env) ?? dirname(stateFile), NAME);
  return fits(runtime) ? runtime : besideState(stateFile);
}

/**
 * Where a command looks for the agent, in this order. `stateFile` is undefined where the
 * configuration does not tell. The installed agent counts also where nobody has `named` the
 * configuration: what lies in the working directory must not hide the service.
 */
export function socketPaths(stateFile: string | undefined, named: boolean): string[] {
  const installed = join(INSTALLED.runtimeFolder, NAME);
  const own = stateFile === undefined ? [] : [besideState(stateFile)];
  const isInstalled = stateFile !== undefined && dirname(stateFile) === INSTALLED.stateFolder;
  return [...own, ...!named || isInstalled ? [installed] : []];
}

/** In the state folder or, where its path is too long, in a folder that its path gives a name. */
function besideState(stateFile: string): string {
  const path = join(dirname(stateFile), NAME);
  if (fits(path)) return path;
  const id = fnv(resolve(dirname(stateFile))).toString(16).padStart(16, "0");
  return `/tmp/noderax-agent-${id}/${NAME}`;
}

function fits(path: string): boolean {
  return new TextEncoder().encode(path).length <= MAX_BYTES;
}

/** A short name for a long text (FNV-1a, 64 bits). That nobody else has the folder is looked at apart. */
function fnv(text: string): bigint {
  return new TextEncoder().encode(text).reduce(
    (hash, byte) => BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n),
    0xcbf29ce484222325n,
  );
}
