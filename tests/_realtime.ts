import { join } from "@std/path";
import type { ControlPlaneOptions } from "../scripts/dev/_options.ts";
import type { ControlPlane } from "../scripts/dev/control_plane.ts";
import type { Terminal } from "../scripts/dev/_terminal.ts";
import { type AgentProcess, Fleet } from "./_agent.ts";

/** A prompt of any shell. */
const PROMPT = /[#$>] $/;

/** A control plane and a node whose agent opens realtime sessions. */
export function realtimeFleet(
  config: Record<string, unknown> = {},
  options: Partial<ControlPlaneOptions> = {},
): Promise<Fleet> {
  // With chance the first pauses before a reconnect are short.
  return Fleet.start({ realtime_enabled: true, realtime_backoff_jitter: 1, ...config }, options);
}

/** Starts an agent whose shells read nobody's own settings, and waits until it is authenticated. */
export async function liveAgent(
  fleet: Fleet,
  env: Record<string, string> = {},
): Promise<AgentProcess> {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME") ?? "", ".cache");
  const agent = await fleet.agent({
    HOME: fleet.folder,
    SHELL: "/bin/bash",
    XDG_CACHE_HOME: cache,
    ...env,
  });
  await agent.waitForLog("realtime session is up");
  return agent;
}

/** Waits for an authenticated socket, one other than `before`; returns its id and when that was. */
export function authenticated(cp: ControlPlane, before = ""): Promise<{ id: string; at: number }> {
  const other = () => cp.realtime.sockets.find(({ id }) => id !== before);
  return cp.waitFor(other, { what: "an authenticated socket", timeoutMs: 20_000 })
    .then(({ id, authenticatedAt = NaN }) => ({ id, at: authenticatedAt }));
}

/** Opens a terminal and waits for its prompt. */
export async function openShell(fleet: Fleet, size = { cols: 0, rows: 0 }): Promise<Terminal> {
  const terminal = fleet.controlPlane.realtime.openTerminal(size);
  await terminal.waitFor((t) => PROMPT.test(t.tail(200)), { what: "a prompt" });
  return terminal;
}

/** The numbers that a loop has written with `echo n$i`, in their order. */
export function numbers({ text }: Terminal): number[] {
  return [...text.matchAll(/^n(\d+)\r?$/gm)].map(([, n]) => Number(n));
}
