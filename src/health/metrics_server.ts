import { answer, type Page, plain, serveOn } from "./http_listener.ts";
import type { HealthMonitor } from "./health_monitor.ts";

const PAGES: readonly Page[] = ["/metrics", "/healthz", "/readyz"];

/** A server on TCP. */
export interface MetricsServer extends Disposable {
  /** Where it listens. */
  readonly url: string;
}

/**
 * Serves {@linkcode PAGES} on `address`, a value of `metrics_listen`, until it is disposed, which
 * waits for no client. Requests under any name but the machine's own loopback names are refused: a
 * web page must not reach it through a name of its own that leads here.
 *
 * @throws what the system answers, such as that the port is in use.
 */
export function serveMetrics(address: string, health: HealthMonitor): MetricsServer {
  // 80 is what a URL leaves out.
  const { hostname, port } = new URL(`http://${address}`);
  const listener = Deno.listen({
    hostname: hostname.replace(/[[\]]/g, ""),
    port: Number(port || 80),
  });
  const server = serveOn(listener, (asked) => {
    if (isLoopbackHost(asked.host)) return answer(asked, health, PAGES);
    return plain(403, "This is for the machine itself: use localhost as the host's name.");
  });
  const { addr } = listener;
  const host = addr.hostname.includes(":") ? `[${addr.hostname}]` : addr.hostname;
  return {
    url: `http://${host}:${addr.port}/metrics`,
    [Symbol.dispose]: () => server[Symbol.dispose](),
  };
}

function isLoopbackHost(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host);
}
