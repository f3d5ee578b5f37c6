import { createServer } from "node:http";
import { spawn } from "node-pty";
import { spread } from "../_figures.ts";
import type { Report } from "./_report.ts";

const STARTS = 11;
const SHELLS = 50;
const CALLS = 200;
const KEYS = 100;

/** Measures what needs no agent: a Deno that calls, a login shell, a call, an echo. */
export async function floors(report: Report, deno: string): Promise<void> {
  const server = await listen();
  try {
    report.floor("call", await firstCall(deno, server));
    report.floor("loopback", await median(CALLS, () => call(server.url)));
  } finally {
    server.close();
  }
  report.floor("shell", await median(SHELLS, shell));
  report.floor("echo", await bareEcho());
}

interface CountingServer {
  url: string;
  called: () => Promise<void>;
  close: () => void;
}

async function listen(): Promise<CountingServer> {
  let arrived = () => {};
  const server = createServer((_, response) => {
    arrived();
    response.end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  return {
    url: `http://127.0.0.1:${port}/`,
    called: () => new Promise<void>((resolve) => arrived = resolve),
    close: () => server.close(),
  };
}

/** As an agent's first claim is measured: from the start of the process to the arrival of its call. */
async function firstCall(deno: string, server: CountingServer): Promise<number> {
  const file = await Deno.makeTempFile({ suffix: ".js" });
  await Deno.writeTextFile(file, `await (await fetch(${JSON.stringify(server.url)})).text();\n`);
  try {
    return await median(STARTS, async () => {
      const called = server.called();
      const process = bareDeno(deno, file);
      await called;
      return async () => void await process.status;
    });
  } finally {
    await Deno.remove(file);
  }
}

/** A Deno that runs a file, without any cache or configuration. */
export function bareDeno(deno: string, file: string, args: string[] = []): Deno.ChildProcess {
  return new Deno.Command(deno, {
    args: ["run", "--no-config", "--allow-all", "--no-prompt", file, ...args],
    env: { DENO_DIR: "/dev/null", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
}

async function call(url: string): Promise<void> {
  await (await fetch(url)).text();
}

async function shell(): Promise<void> {
  await new Deno.Command("/bin/sh", { args: ["-lc", "true"], stdin: "null" }).output();
}

/** Of some runs the middle, in milliseconds; what a run returns is done after its time was taken. */
async function median(runs: number, work: () => Promise<void | (() => Promise<void>)>) {
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const startedMs = performance.now();
    const after = await work();
    times.push(performance.now() - startedMs);
    await after?.();
  }
  return spread(times).median;
}

/** What bash takes to echo a key, on a terminal that is read in this process. */
async function bareEcho(): Promise<number> {
  const folder = await Deno.makeTempDir();
  const bash = spawn("/bin/bash", ["--norc"], { cwd: folder, env: { HOME: folder, PS1: "$ " } });
  let shown = "";
  let arrived = () => {};
  bash.onData((text: string) => {
    shown += text;
    arrived();
  });
  const until = async (isShown: () => boolean) => {
    while (!isShown()) await new Promise<void>((resolve) => arrived = resolve);
  };
  try {
    await until(() => shown.endsWith("$ "));
    return await median(KEYS, async () => {
      const before = shown.length;
      bash.write("x");
      await until(() => shown.length > before);
    });
  } finally {
    const ended = new Promise((resolve) => bash.onExit(resolve));
    bash.kill("SIGKILL");
    await ended;
    await Deno.remove(folder, { recursive: true });
  }
}
