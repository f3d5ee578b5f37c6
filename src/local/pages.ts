import { renderMetrics } from "./metrics.ts";
import type { Vitals } from "./vitals.ts";

/** What the agent serves on its socket; on TCP all but `/status`, which names tasks and paths. */
export type Page = "/status" | "/healthz" | "/readyz" | "/metrics";

const PLAIN = { "content-type": "text/plain; charset=utf-8" };
const PROMETHEUS = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };

const PAGES: Record<Page, (vitals: Vitals) => Response> = {
  "/status": (vitals) => Response.json(vitals.report()),
  "/healthz": ({ ailment }) => verdict("alive", ailment),
  "/readyz": ({ notReady }) => verdict("ready", notReady),
  "/metrics": (vitals) => new Response(renderMetrics(vitals.report()), { headers: PROMETHEUS }),
};

/** Answers a request for one of `pages`. */
export function answer(request: Request, vitals: Vitals, pages: readonly Page[]): Response {
  // What a client sends as its Host becomes part of the URL, and may make none of it.
  const path = URL.parse(request.url)?.pathname;
  const page = pages.find((page) => page === path);
  if (page === undefined) return plain(404, `There are ${pages.join(", ")}.`);
  if (request.method !== "GET" && request.method !== "HEAD") return plain(405, "Use GET.");
  return PAGES[page](vitals);
}

/** A short answer for people. */
export function plain(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: PLAIN });
}

function verdict(good: string, bad: string | undefined): Response {
  return bad === undefined ? plain(200, good) : plain(503, bad);
}
