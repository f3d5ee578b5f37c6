import assert from "node:assert/strict";
import type { Holder } from "../system/kernel_locks.ts";
import { LockWait } from "./lock_wait.ts";

/** What is logged of these batches of apt's lines, when the kernel names this holder. */
async function logged(batches: string[], holder?: Holder): Promise<string[]> {
  const log: string[] = [];
  const wait = new LockWait((stream, lines) => {
    log.push(`${stream}: ${lines}`);
    return Promise.resolve();
  }, () => holder);
  await wait.look();
  for (const lines of batches) await wait.push("stdout", lines);
  return log;
}

const HELD = "Waiting for cache lock: Could not get lock /x/lock-frontend. It is held by ";
const told = (holder: string) => `system: [dpkg is busy: waiting up to 120 s for ${holder}]\n`;

Deno.test("that apt waits is told once for each holder, and its own lines are left out", async () => {
  const a = `${HELD}process 12 (apt-get)...\n`;
  const b = `${HELD}process 13 (python3.11)...\n`;
  assert.deepEqual(await logged([a, a, `before\n${a}${b}after\n`, b]), [
    told("process 12 (apt-get)"),
    told("process 13 (python3.11)"),
    "stdout: before\nafter\n",
  ]);
  const nameless = "Waiting for cache lock: Could not get lock /x - open (11: busy)...\n";
  assert.deepEqual(await logged([nameless, nameless]), [told("another process")]);
  assert.deepEqual(await logged([`${HELD}process 14...\n`]), [told("process 14")]);
});

Deno.test("who holds the lock is told although apt says nothing, and not again if it does", async () => {
  const holder = { pid: 12, name: "apt-get", certain: true };
  assert.deepEqual(await logged([], holder), [told("process 12 (apt-get)")]);
  assert.deepEqual(await logged([`${HELD}process 12 (apt-get)...\n`], holder), [
    told("process 12 (apt-get)"),
  ]);
  assert.deepEqual(await logged([], { ...holder, name: "" }), [told("process 12")]);
});

Deno.test("a holder that is uncertain is told as such, and apt's own word is still passed on", async () => {
  const holder = { pid: 12, name: "apt-get", certain: false };
  const perhaps = "system: [dpkg is busy perhaps: process 12 (apt-get) may hold its lock]\n";
  assert.deepEqual(await logged([`${HELD}process 12 (apt-get)...\n`], holder), [
    perhaps,
    told("process 12 (apt-get)"),
  ]);
  assert.deepEqual(await logged([]), []);
});
