import { delay } from "@std/async";
import { writeAll } from "../system/atomic_file.ts";
import { renderMetrics } from "./metrics.ts";
import type { HealthMonitor } from "./health_monitor.ts";
import { healthLine } from "./verdict.ts";

/** So many clients are held at a time. */
const MAX_CLIENTS = 64;
/** What a request may have before its body, in bytes. */
const MAX_HEAD_BYTES = 16_384;
/** So many parts of what a client says beyond that are read, at most 1024 bytes each. */
const MAX_REST_PARTS = 64;
/** The pause after a client could not be taken, in milliseconds. */
const PAUSE_MS = 500;

/** What a client asks for. */
export interface Asked {
  /** The HTTP method. */
  method: string;
  /** The path, without a query. */
  path: string;
  /** The host as the client names it; "" if it names none. */
  host: string;
}

/** What it is answered. */
export interface Answer {
  /** The HTTP status. */
  status: number;
  /** The media type of the text. */
  type: string;
  /** The body. */
  text: string;
}

/**
 * Answers one request of each client of `listener` until it is disposed, which waits for nobody.
 *
 * `Deno.serve` would hold any number of clients for any time, and would end for good when the
 * process has run out of descriptors once. Here whoever has stayed longest makes room.
 */
export function serveOn(
  listener: Deno.Listener<Deno.Conn>,
  answer: (asked: Asked) => Answer | Promise<Answer>,
): Disposable {
  const clients = new Set<Deno.Conn>();
  const stop = new AbortController();
  const hangUp = (client: Deno.Conn) => {
    if (clients.delete(client)) client.close();
  };
  const attend = async (client: Deno.Conn) => {
    const [oldest] = clients;
    if (oldest && clients.size >= MAX_CLIENTS) hangUp(oldest);
    clients.add(client);
    try {
      await converse(client, answer);
    } catch {
      // It has hung up, or has made room.
    } finally {
      hangUp(client);
    }
  };
  const accept = async () => {
    while (!stop.signal.aborted) {
      try {
        void attend(await listener.accept());
      } catch {
        // Closed, or out of descriptors.
        await delay(PAUSE_MS, { signal: stop.signal }).catch(() => {});
      }
    }
  };
  void accept();
  return {
    [Symbol.dispose]: () => {
      stop.abort();
      listener.close();
      clients.forEach(hangUp);
    },
  };
}

async function converse(
  client: Deno.Conn,
  answer: (asked: Asked) => Answer | Promise<Answer>,
): Promise<void> {
  const asked = await readHead(client);
  if (!asked) return;
  const { status, type, text } = await answer(asked);
  const encoder = new TextEncoder();
  const body = encoder.encode(text);
  const head = `HTTP/1.1 ${status} \r\nContent-Type: ${type}\r\n` +
    `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  await writeAll(client, encoder.encode(head));
  if (asked.method !== "HEAD") await writeAll(client, body);
  await client.closeWrite();
  // What is closed before it is read to the end may take the answer with it.
  const rest = new Uint8Array(1_024);
  for (let parts = 0; parts < MAX_REST_PARTS && await client.read(rest) !== null;) parts++;
}

/** The beginning of a request; undefined if it is none. */
async function readHead(client: Deno.Conn): Promise<Asked | undefined> {
  const decoder = new TextDecoder("latin1");
  const part = new Uint8Array(4_096);
  let head = "";
  while (!head.includes("\r\n\r\n")) {
    const length = await client.read(part);
    if (length === null || head.length > MAX_HEAD_BYTES) return undefined;
    head += decoder.decode(part.subarray(0, length));
  }
  const [, method = "", target = ""] = /^([A-Z]+) (\S+) HTTP\/1\.[01]\r\n/.exec(head) ?? [];
  const [, host = ""] = /\r\nhost:[ \t]*(\S*)/i.exec(head) ?? [];
  // Some clients, Deno's among them, send the whole URL.
  const path = URL.parse(target, "http://localhost")?.pathname;
  return path === undefined || !method ? undefined : { method, path, host };
}

/** What the agent serves on its socket; on TCP all but `/status`, which names tasks and paths. */
export type Page = "/status" | "/healthz" | "/readyz" | "/metrics";

const PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8";

const PAGES: Record<Page, (health: HealthMonitor) => Answer | Promise<Answer>> = {
  "/status": async (health) => found("application/json", JSON.stringify(await health.measured())),
  "/healthz": ({ health, notAlive }) =>
    plain(notAlive === undefined ? 200 : 503, healthLine(health)),
  "/readyz": ({ health }) => plain(health.state === "healthy" ? 200 : 503, healthLine(health)),
  "/metrics": async (health) => found(PROMETHEUS, renderMetrics(await health.measured())),
};

/** Answers a request for one of `pages`. */
export async function answer(
  { method, path }: Asked,
  health: HealthMonitor,
  pages: readonly Page[],
): Promise<Answer> {
  const page = pages.find((page) => page === path);
  if (page === undefined) return plain(404, `There are ${pages.join(", ")}.`);
  if (method !== "GET" && method !== "HEAD") return plain(405, "Use GET.");
  try {
    return await PAGES[page](health);
  } catch {
    return plain(500, "That went wrong.");
  }
}

/** A short answer for people. */
export function plain(status: number, text: string): Answer {
  return { status, type: "text/plain; charset=utf-8", text: `${text}\n` };
}

function found(type: string, text: string): Answer {
  return { status: 200, type, text };
}
