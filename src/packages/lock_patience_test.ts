import assert from "node:assert/strict";
import type { Holder } from "../system/kernel_locks.ts";
import type { TaskContext } from "../tasks/task_type.ts";
import { childHost } from "../hosts/child_host.ts";
import { whenUnlocked } from "./lock_patience.ts";

const APT: Holder = { pid: 12, name: "apt-get", certain: true };

/** Changes packages while the looks show these holders, and the attempts meet a lock or do not. */
async function waited(
  holders: (Holder | undefined)[],
  attempts: boolean[] = [false],
  { limitS = 120, signal = new AbortController().signal, ...own }: Partial<
    Pick<TaskContext, "signal" | "takenUp"> & { limitS: number }
  > = {},
) {
  let log = "";
  let tries = 0;
  const locks = { what: "dpkg", paths: ["/var/lib/dpkg/lock"] };
  const onLines = (_: string, lines: string) => Promise.resolve(void (log += lines));
  const attempt = () => Promise.resolve({ locked: attempts[tries++] ?? false });
  await whenUnlocked(locks, { onLines, signal, ...own }, attempt, {
    limitS,
    look: () => holders.shift(),
  });
  return { log, tries };
}

Deno.test("who holds a lock is waited for, and named once", async () => {
  assert.deepEqual(await waited([]), { log: "", tries: 1 });
  assert.deepEqual(await waited([APT, APT]), {
    log: "[dpkg is busy: waiting up to 120 s for process 12 (apt-get)]\n",
    tries: 1,
  });
});

Deno.test("a lock of which the holder is uncertain is only waited for when it is met", async () => {
  assert.deepEqual(await waited([{ ...APT, certain: false }]), { log: "", tries: 1 });
});

Deno.test("a program that was taken up holds the lock itself: it is gone on with at once", async () => {
  const { signal } = new AbortController();
  const takenUp = await childHost.start({ taskId: crypto.randomUUID(), argv: ["true"], signal });
  await takenUp.open();
  for await (const _ of takenUp.output);
  await takenUp.ended;
  assert.deepEqual(await waited([APT, APT], [false], { takenUp, limitS: 0 }), {
    log: "",
    tries: 1,
  });
});

Deno.test("the wait has a limit, and then nothing is changed", async () => {
  const message = "dpkg is busy: process 12 (apt-get) has held its lock for 0 s, " +
    "try again when it has ended";
  await assert.rejects(waited([APT, APT, APT, APT], [], { limitS: 0 }), { message });
  await assert.rejects(waited([undefined], [true], { limitS: 0 }), /another program has held/);
});

Deno.test("a task that is to end waits no longer", async () => {
  const stop = new AbortController();
  const waiting = waited([APT, APT], [], { signal: stop.signal });
  stop.abort();
  await assert.rejects(waiting, { name: "AbortError" });
});
