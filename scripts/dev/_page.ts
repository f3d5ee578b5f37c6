import { join } from "@std/path";
import { stripTypeScriptTypes } from "node:module";
import xtermCss from "@xterm/xterm/css/xterm.css" with { type: "text" };
import xterm from "@xterm/xterm/lib/xterm.mjs" with { type: "text" };
import fit from "@xterm/addon-fit/lib/addon-fit.mjs" with { type: "text" };
import { PageSession } from "./_page_session.ts";
import type { ControlPlane } from "./control_plane.ts";

const TYPES = { html: "text/html", css: "text/css", ts: "text/javascript", mjs: "text/javascript" };
const VENDOR: Record<string, string> = {
  "xterm.css": xtermCss,
  "xterm.mjs": xterm,
  "fit.mjs": fit,
};

/** The page of `deno task dev`, on a port of its own. */
export interface Page extends AsyncDisposable {
  /** Where to open it; it contains the key without which nothing can be seen or done. */
  readonly url: string;
}

/** What the page does beside the control plane's own. */
export interface PageOptions {
  /** Queues a shell command as a task. */
  run: (command: string) => void;
  /** Default: a free one. */
  port?: number;
}

/**
 * Serves the page on 127.0.0.1. Whoever can talk to it runs commands as the user who started it:
 * so it answers only to its own name (a name of the outside world that was pointed at this machine
 * is refused), takes sockets only from its own page, and wants a key that other users do not know.
 */
export function startPage(controlPlane: ControlPlane, { run, port = 0 }: PageOptions): Page {
  const key = crypto.getRandomValues(new Uint8Array(16)).toHex();
  const sessions = new Map<WebSocket, PageSession>();
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
    if (pathname !== "/dev/socket") return file(pathname);
    if (origin === null || searchParams.get("key") !== key) {
      return new Response("Open the address that `deno task dev` prints.\n", { status: 403 });
    }
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => {
      sessions.set(socket, new PageSession(controlPlane, run, socket));
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
  const server = Deno.serve(
    { hostname: "127.0.0.1", port, signal: stop.signal, onListen: () => {} },
    serve,
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/#${key}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sessions.keys()) socket.close();
      stop.abort();
      await server.finished;
    },
  };
}

/** A file of the page, read anew each time: a change of it needs no more than a reload. */
async function file(pathname: string): Promise<Response> {
  const name = pathname === "/" ? "index.html" : pathname.slice(1);
  const [, extension] = /^[a-z_]+\.(html|css|ts|mjs)$/.exec(name) ?? [];
  const type = Object.entries(TYPES).find(([known]) => known === extension)?.[1];
  if (!type) return new Response("There is no such file.\n", { status: 404 });
  const headers = {
    "content-type": `${type}; charset=utf-8`,
    "cache-control": "no-store",
    "content-security-policy": "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
  };
  const vendor = VENDOR[name];
  if (vendor !== undefined) return new Response(vendor, { headers });
  try {
    const text = await Deno.readTextFile(join(import.meta.dirname ?? ".", "page", name));
    return new Response(extension === "ts" ? stripTypeScriptTypes(text) : text, { headers });
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    return new Response("There is no such file.\n", { status: 404 });
  }
}
