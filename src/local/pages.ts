import type { Answer, Asked } from "./http_listener.ts";
import { renderMetrics } from "./metrics.ts";
import type { Vitals } from "./vitals.ts";

/** What the agent serves on its socket; on TCP all but `/status`, which names tasks and paths. */
export type Page = "/status" | "/healthz" | "/readyz" | "/metrics";

const PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8";

const PAGES: Record<Page, (vitals: Vitals) => Answer> = {
  "/status": (vitals) => found("application/json", JSON.stringify(vitals.report())),
  "/healthz": ({ ailment }) => verdict("alive", ailment),
  "/readyz": ({ notReady }) => verdict("ready", notReady),
  "/metrics": (vitals) => found(PROMETHEUS, renderMetrics(vitals.report())),
};

/** Answers a request for one of `pages`. */
export function answer({ method, path }: Asked, vitals: Vitals, pages: readonly Page[]): Answer {
  const page = pages.find((page) => page === path);
  if (page === undefined) return plain(404, `There are ${pages.join(", ")}.`);
  if (method !== "GET" && method !== "HEAD") return plain(405, "Use GET.");
  try {
    return PAGES[page](vitals);
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

function verdict(good: string, bad: string | undefined): Answer {
  return bad === undefined ? plain(200, good) : plain(503, bad);
}
