import assert from "node:assert/strict";
import { isTimeout, settlesWithin, within } from "./deadline.ts";
import { runChild } from "./run_child.ts";
import { judgeAfter, TimeLimit } from "./stall.ts";

/** Stands still as a stopped process does: nothing of the event loop goes on. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Stands still until these processes have ended, whatever that takes them, and for some time more. */
function standStillUntilGone(ms: number, ...pids: number[]): void {
  const script =
    'for pid; do while grep -qs "^State:.[^ZX]" "/proc/$pid/status"; do sleep 0.01; done; done';
  meanwhile(script, ...pids.map(String));
  standStill(ms);
}

/** Stands still until a file has something in it; gives that. */
function standStillUntilThere(file: string): string {
  return meanwhile('until [ -s "$1" ]; do sleep 0.01; done; cat "$1"', file);
}

/** Runs a script while nothing of the event loop goes on; gives what it prints. */
function meanwhile(script: string, ...args: string[]): string {
  const command = new Deno.Command("/bin/sh", { args: ["-c", script, "sh", ...args] });
  const { success, stdout } = command.outputSync();
  assert(success);
  return new TextDecoder().decode(stdout);
}

Deno.test("a child that has ended while this process stood still has ended in time", async () => {
  for (let round = 0; round < 5; round++) {
    const child = new Deno.Command("true", { stdin: "null" }).spawn();
    let isLate = false;
    const cancel = judgeAfter(20, () => isLate = true);
    standStillUntilGone(100, child.pid);
    await child.status;
    cancel();
    assert.equal(isLate, false);
  }
});

Deno.test("an answer that has come while this process stood still is no late one", async () => {
  const code =
    'const s = Deno.listen({ hostname: "127.0.0.1", port: 0 }); console.log(s.addr.port); ' +
    'const c = await s.accept(); await c.read(new Uint8Array(9999)); console.log("asked"); ' +
    "await new Promise((resolve) => setTimeout(resolve, 50)); await c.write(" +
    'new TextEncoder().encode("HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"));';
  const server = new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    stdout: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const reader = server.stdout.getReader();
  const port = Number(new TextDecoder().decode((await reader.read()).value));
  const stop = new AbortController();
  const response = fetch(`http://127.0.0.1:${port}/`, { signal: stop.signal });
  // The request is there when everything stands still.
  await reader.read();
  using limit = new TimeLimit(100);
  limit.signal.addEventListener("abort", () => stop.abort(limit.signal.reason));
  standStillUntilGone(200, server.pid);
  assert.equal(await (await response).text(), "ok");
  await reader.cancel();
  await server.status;
});

Deno.test("what has come while this process stood still is in time", async () => {
  const child = new Deno.Command("sh", {
    args: ["-c", "sleep 0.1; echo said"],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const said = within(new Response(child.stdout).text(), 100);
  const ended = settlesWithin(child.status, 100);
  standStillUntilGone(100, child.pid);
  assert.equal(await said, "said\n");
  assert.equal(await ended, true);
  const file = await Deno.makeTempFile();
  const run = runChild(["sh", "-c", 'echo $$ >"$0"; sleep 0.1; echo ran', file], { limitMs: 100 });
  standStillUntilGone(100, Number(standStillUntilThere(file)));
  assert.equal((await run).stdout, "ran\n");
  await Deno.remove(file);
});

Deno.test("what does not come is judged", async () => {
  await new Promise<void>((resolve) => judgeAfter(1, resolve));
  using limit = new TimeLimit(1);
  await new Promise((resolve) => limit.signal.addEventListener("abort", resolve));
  assert(isTimeout(limit.signal.reason));
  const never = new Promise<void>(() => {});
  assert.equal(await settlesWithin(never, 1), false);
  await assert.rejects(within(never, 1), isTimeout);
});
