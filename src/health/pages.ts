import type { Answer, Asked } from "./http_listener.ts";
import { renderMetrics } from "./metrics.ts";
import type { HealthMonitor } from "./health_monitor.ts";
import { healthLine } from "./verdict.ts";

/** What the agent serves on its socket; on TCP all but `/status`, which names tasks and paths. */
export type Page = "/status" | "/healthz" | "/readyz" | "/metrics";

const PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8";

const PAGES: Record<Page, (health: HealthMonitor) => Answer> = {
  "/status": (health) => found("application/json", JSON.stringify(health.report())),
  "/healthz": ({ health, notAlive }) =>
    plain(notAlive === undefined ? 200 : 503, healthLine(health)),
  "/readyz": ({ health }) => plain(health.state === "healthy" ? 200 : 503, healthLine(health)),
  "/metrics": (health) => found(PROMETHEUS, renderMetrics(health.report())),
};

/** Answers a request for one of `pages`. */
export function answer(
  { method, path }: Asked,
  health: HealthMonitor,
  pages: readonly Page[],
): Answer {
  const page = pages.find((page) => page === path);
  if (page === undefined) return plain(404, `There are ${pages.join(", ")}.`);
  if (method !== "GET" && method !== "HEAD") return plain(405, "Use GET.");
  try {
    return PAGES[page](health);
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
