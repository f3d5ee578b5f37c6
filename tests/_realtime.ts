import assert from "node:assert/strict";
import { delay } from "@std/async";
import type { ControlPlane, ControlPlaneOptions, Terminal } from "../scripts/dev/control_plane.ts";
import { type AgentProcess, Fleet } from "./_agent.ts";
import { eventually, livingWith } from "./_processes.ts";

/** A prompt of any shell. */
const PROMPT = /[#$>] $/;

/** A control plane and a node whose agent opens realtime sessions. */
export function realtimeFleet(
  config: Record<string, unknown> = {},
  options: Partial<ControlPlaneOptions> = {},
): Promise<Fleet> {
  // With all of a pause left to chance the first ones before a reconnect are short.
  return Fleet.start({ realtime_enabled: true, realtime_backoff_jitter: 1, ...config }, options);
}

/** Starts an agent whose terminals run bash. */
export function spawnLive(fleet: Fleet, env: Record<string, string> = {}): AgentProcess {
  return fleet.spawnAgent({ SHELL: "/bin/bash", ...env });
}

/** Starts an agent and waits until it is authenticated. */
export async function liveAgent(
  fleet: Fleet,
  env: Record<string, string> = {},
): Promise<AgentProcess> {
  const agent = spawnLive(fleet, env);
  await agent.waitForLog("realtime session is up");
  return agent;
}

/** Stops an agent: it must leave in good order, and no breach but `allowed` ones may have been seen. */
export async function leavesWell(
  fleet: Fleet,
  agent: AgentProcess,
  allowed?: RegExp,
): Promise<void> {
  assert.equal((await agent.stop()).code, 0);
  // The control plane may hear of it a moment after the process has gone.
  const { realtime, violations } = fleet.controlPlane;
  await fleet.controlPlane.waitFor(() => realtime.sockets.length === 0, {
    what: "the end of the socket of an agent that has left",
  });
  assert.deepEqual(violations.filter((sentence) => !allowed?.test(sentence)), []);
  const log = JSON.stringify(agent.events) + agent.otherOutput.join("\n");
  assert(!log.includes(fleet.agentToken), "the log has the token");
}

/** Runs something on a fresh fleet with a live agent, which must leave well afterwards. */
export async function onLiveFleet(
  work: (fleet: Fleet, agent: AgentProcess) => Promise<unknown>,
  config: Record<string, unknown> = {},
  options: Partial<ControlPlaneOptions> = {},
): Promise<void> {
  await using fleet = await realtimeFleet({ log_level: "debug", ...config }, options);
  await using agent = await liveAgent(fleet);
  await work(fleet, agent);
  await leavesWell(fleet, agent);
}

/** Waits for an authenticated socket other than `before`; gives its id and when that was, in epoch milliseconds. */
export async function authenticated(
  cp: ControlPlane,
  before?: string,
): Promise<{ id: string; at: number }> {
  const other = () => cp.realtime.sockets.find(({ id }) => id !== before);
  const found = await cp.waitFor(other, { what: "an authenticated socket" });
  return { id: found.id, at: found.authenticatedAt ?? NaN };
}

/** Opens a terminal and waits for its prompt. */
export async function openShell(fleet: Fleet, size = { cols: 0, rows: 0 }): Promise<Terminal> {
  const terminal = fleet.controlPlane.realtime.openTerminal(size);
  await prompt(terminal);
  return terminal;
}

/** Waits until the last that a terminal shows is a prompt. */
export async function prompt(terminal: Terminal): Promise<void> {
  await terminal.waitFor((t) => PROMPT.test(t.tail(200)));
}

/**
 * Runs a loop that prints n1, n2 and so on. Before it, the agent sees once that what is typed takes
 * no numbers: with its very first input unanswered it could not tell a lost frame from a stored one.
 */
export async function startLoop(terminal: Terminal, loop: string): Promise<void> {
  terminal.input("echo re''ady\n");
  await terminal.waitForText(/ready\r\n[^]*[#$>] $/);
  terminal.input(`${loop}\n`);
  await terminal.waitForText("n10\r\n");
}

/**
 * Cuts the socket so many times at random moments while terminals print. Each time all of them go
 * on before the next cut: what numbers tell of a cut is gone when there is one more meanwhile.
 */
export async function dropWhile(
  { controlPlane: cp }: Fleet,
  terminals: Terminal[],
  times: number,
): Promise<void> {
  for (let i = 0; i < times; i++) {
    await delay(Math.random() * 300);
    const { id } = await authenticated(cp);
    cp.realtime.dropSockets();
    await authenticated(cp, id);
    const before = terminals.map(({ byteLength }) => byteLength);
    await cp.waitFor(
      () => terminals.every((t, at) => t.ended || t.byteLength > (before[at] ?? NaN)),
      { what: "more output of all terminals" },
    );
  }
}

/** The numbers that a loop has written with `echo n$i`, in their order. */
export function numbers({ text }: Terminal): number[] {
  return [...text.matchAll(/^n(\d+)\r?$/gm)].map(([, n]) => Number(n));
}

/** From 1 to `last`. */
export function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, i) => i + 1);
}

/** The wall clock, in milliseconds with their fractions. */
export function epochMs(): number {
  return performance.timeOrigin + performance.now();
}

/** Waits for the end of a terminal and gives what `terminal.exited` said. */
export async function exited(terminal: Terminal): Promise<Terminal["exited"]> {
  await terminal.waitFor(({ ended }) => ended);
  assert.equal(terminal.endedByServer, false, terminal.error ?? "it was ended by the server");
  return terminal.exited;
}

/** Waits until no process of a terminal lives. */
export function gone({ sessionId }: Terminal): Promise<boolean> {
  return eventually(
    `the end of all processes of ${sessionId}`,
    async () => (await livingWith(sessionId)).length === 0,
  );
}

/** Waits until the processes of a terminal, its shell included, are so many. */
export function living({ sessionId }: Terminal, count: number): Promise<boolean> {
  return eventually(
    `${count} processes of ${sessionId}`,
    async () => (await livingWith(sessionId)).length >= count,
  );
}

/** No number up to the last may be lost or there twice. */
export function assertInOrder(lines: number[], last = lines.length): void {
  const at = lines.findIndex((line, i) => line !== i + 1);
  assert.equal(at, -1, `around ${lines.slice(Math.max(0, at - 2), at + 3)}`);
  assert.equal(lines.length, last);
}
