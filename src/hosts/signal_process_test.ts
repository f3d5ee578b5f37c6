import assert from "node:assert/strict";
import { isAlive, until } from "./_test_processes.ts";
import { endTaskProcesses } from "./end_processes.ts";
import { type GatedChild, spawnGated } from "./child_host.ts";
import { killGroup, signalProcess, signalThroughSudo } from "./signal_process.ts";

/** A process that is nobody's task, and its true identity. */
async function withProcess(test: (child: GatedChild) => Promise<void>): Promise<void> {
  const taskId = crypto.randomUUID();
  const child = await spawnGated({ taskId, argv: ["sh", "-c", "echo begun; exec sleep 1000"] });
  await child.open();
  // It leads its group when its program has begun, and not before.
  const begun = child.stdout.getReader();
  await begun.read();
  begun.releaseLock();
  try {
    await test(child);
  } finally {
    await endTaskProcesses(taskId, child.group, 0);
    await Promise.all([child.stdout.cancel(), child.stderr.cancel(), child.status]);
  }
}

/** Whose id the process has got now. */
function earlier<T extends { startTicks: string }>(identity: T): T {
  return { ...identity, startTicks: String(Number(identity.startTicks) - 1) };
}

/** Stands for root: it runs what it is given. */
const NO_SUDO = ["env", "--"];

Deno.test("a process whose id was somebody else's before is never signalled", () =>
  withProcess(async ({ group }) => {
    assert.equal(signalProcess(earlier(group), "SIGKILL"), "gone");
    assert.equal(signalProcess({ ...group, startTicks: "" }, "SIGKILL"), "gone");
    killGroup(earlier(group));
    await signalThroughSudo([earlier(group)], "SIGKILL", NO_SUDO);
    assert(await isAlive(group.pid));
  }));

Deno.test("the process itself is signalled, alone or with its group, also through sudo", async () => {
  const ways: ((child: GatedChild) => unknown)[] = [
    ({ group }) => assert.equal(signalProcess(group, "SIGTERM"), "sent"),
    ({ group }) => killGroup(group),
    ({ group }) => signalThroughSudo([earlier(group), group], "SIGTERM", NO_SUDO),
  ];
  for (const way of ways) {
    await withProcess(async (child) => {
      await way(child);
      await until(async () => !await isAlive(child.group.pid));
    });
  }
});

Deno.test("one that has left is gone, and the agent is never signalled", async () => {
  const child = await spawnGated({ taskId: crypto.randomUUID(), argv: ["true"] });
  await child.open();
  await Promise.all([child.stdout.cancel(), child.stderr.cancel(), child.status]);
  assert.equal(signalProcess(child.group, "SIGKILL"), "gone");
  for (const pid of [Deno.pid, 0, 1, -1, NaN]) {
    assert.equal(signalProcess({ pid, startTicks: "1" }, "SIGKILL"), "gone");
  }
});
