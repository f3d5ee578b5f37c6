import assert from "node:assert/strict";
import { isTimeout, settlesWithin, within } from "./deadline.ts";
import { runChild } from "./run_child.ts";
import { judgeAfter, TimeLimit } from "./stall.ts";

/** Stands still as a stopped process does: nothing of the event loop goes on. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

Deno.test("a child that has ended while this process stood still has ended in time", async () => {
  for (let round = 0; round < 5; round++) {
    const child = new Deno.Command("true", { stdin: "null" }).spawn();
    let isLate = false;
    const cancel = judgeAfter(20, () => isLate = true);
    standStill(150);
    await child.status;
    cancel();
    assert.equal(isLate, false);
  }
});

Deno.test("an answer that has come while this process stood still is no late one", async () => {
  const code =
    'const s = Deno.listen({ hostname: "127.0.0.1", port: 0 }); console.log(s.addr.port); ' +
    "const c = await s.accept(); await c.read(new Uint8Array(9999)); await c.write(" +
    'new TextEncoder().encode("HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok"));';
  const server = new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    stdout: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const reader = server.stdout.getReader();
  const port = Number(new TextDecoder().decode((await reader.read()).value));
  using limit = new TimeLimit(100);
  const response = fetch(`http://127.0.0.1:${port}/`, { signal: limit.signal });
  // The request is on its way when everything stands still.
  await new Promise((resolve) => setTimeout(resolve, 30));
  standStill(400);
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
  const run = runChild(["sh", "-c", "sleep 0.1; echo ran"], { limitMs: 100 });
  standStill(400);
  assert.equal(await said, "said\n");
  assert.equal(await ended, true);
  assert.equal((await run).stdout, "ran\n");
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
