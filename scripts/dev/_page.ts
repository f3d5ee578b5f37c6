import { FaultSwitches } from "./_fault_switches.ts";
import { pageFile } from "./_page_files.ts";
import { newKey } from "./_page_key.ts";
import { PageSession } from "./_page_session.ts";
import type { ControlPlane, NewTask } from "./control_plane.ts";
import type { HealthNews } from "./page/messages.ts";

/** The page of `deno task dev`, on a port of its own. */
export interface Page extends AsyncDisposable {
  /** Where to open it; it contains the key without which nothing can be seen or done. */
  readonly url: string;
}

/** What the page does beside the control plane's own. */
export interface PageOptions {
  /** Queues a task. */
  run: (task: NewTask) => void;
  /** What the agent says of itself; default: nothing. */
  health?: () => HealthNews | undefined;
  /** Default: a free one. */
  port?: number;
  /** Default: a new one. */
  key?: string;
}

/**
 * Serves the page on 127.0.0.1. Whoever can talk to it runs commands as the user who started it:
 * so it answers only to its own name (a name of the outside world that was pointed at this machine
 * is refused), takes sockets only from its own page, and wants a key that other users do not know.
 */
export function startPage(controlPlane: ControlPlane, options: PageOptions): Page {
  const { run, health = () => undefined, port = 0, key = newKey() } = options;
  const sessions = new Map<WebSocket, PageSession>();
  const faults = new FaultSwitches(controlPlane);
  const hosts = () => ["127.0.0.1", "localhost"].map((name) => `${name}:${server.addr.port}`);
  const attend = () => {
    for (const terminal of controlPlane.realtime.terminals) {
      if (terminal.ended) continue;
      if (sessions.size > 0) terminal.attach();
      else terminal.detach();
    }
  };
  const serve = (request: Request): Response | Promise<Response> => {
    const { pathname, searchParams, host } = new URL(request.url);
    const origin = request.headers.get("origin");
    if (!hosts().includes(host) || (origin !== null && origin !== `http://${host}`)) {
      return new Response("This page answers only to its own address.\n", { status: 403 });
    }
    if (request.method !== "GET") return new Response("Not allowed\n", { status: 405 });
    if (pathname !== "/dev/socket") return pageFile(pathname);
    if (origin === null || searchParams.get("key") !== key) {
      return new Response("Open the address that `deno task dev` prints.\n", { status: 403 });
    }
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => {
      sessions.set(socket, new PageSession({ controlPlane, run, health, faults, socket }));
      attend();
    };
    socket.onclose = () => {
      sessions.get(socket)?.close();
      sessions.delete(socket);
      attend();
    };
    return response;
  };
  const stop = new AbortController();
  const listen = { hostname: "127.0.0.1", signal: stop.signal, onListen: () => {} };
  const server = serveOn(port);

  function serveOn(port: number): Deno.HttpServer<Deno.NetAddr> {
    try {
      return Deno.serve({ ...listen, port }, serve);
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.AddrInUse) || port === 0) throw thrown;
      return serveOn(0);
    }
  }

  return {
    url: `http://127.0.0.1:${server.addr.port}/#${key}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sessions.keys()) socket.close();
      stop.abort();
      await server.finished;
    },
  };
}
