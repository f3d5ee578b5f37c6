import assert from "node:assert/strict";
import { join } from "@std/path";
import { Fleet } from "./_agent.ts";
import { mayMount, SmallDisk } from "./_small_disk.ts";
import { exited, leavesWell, liveAgent, openShell, realtimeFleet } from "./_realtime.ts";
import { errorOf } from "./_shell.ts";
import { tell } from "./_together.ts";

/** Claims come and go quickly, so that wishes and reports do. */
const QUICK = { task_poll_interval: "200ms" };
const AS_ROOT = { runAsRoot: true, rootScope: "task" };

/** Sets a profile and waits until the agent says that it is in force. */
async function applied(fleet: Fleet, profile: "all" | "off" | "task"): Promise<void> {
  const { controlPlane: cp, nodeId } = fleet;
  cp.setRootAccess(nodeId, profile);
  await cp.waitFor(
    () => Object(cp.node(nodeId).appliedRootAccess).appliedProfile === profile,
    { what: `a report of ${profile}` },
  );
}

Deno.test({
  name: "off is kept on a full disk, over a kill, by an agent that is told nothing more " +
    "(needs the right to mount)",
  ignore: !await mayMount(),
  fn: async () => {
    await using fleet = await Fleet.start(QUICK, { claimsOutliveCallers: false });
    await using disk = await SmallDisk.mount(fleet.stateFolder);
    {
      await using agent = await fleet.agent();
      await applied(fleet, "all");
      await disk.fill();
      await applied(fleet, "off");
      await agent.kill();
    }
    fleet.controlPlane.setRootAccess(fleet.nodeId, null);
    await using agent = await fleet.agent();
    assert.match(await errorOf(fleet, "id", AS_ROOT), /profile of this node is "off"/);
    assert.equal((await agent.stop()).code, 0);
  },
});

Deno.test("a record that is gone where a profile was known, or is damaged, is off", async () => {
  await using fleet = await Fleet.start(QUICK, { claimsOutliveCallers: false });
  const { controlPlane: cp, nodeId, stateFolder } = fleet;
  const record = join(stateFolder, "root_access.json");
  const losses = {
    removed: () => Deno.remove(record),
    emptied: () => Deno.truncate(record),
    "set to unknown": () => Deno.writeTextFile(record, '{"known":false}'),
  };
  for (const [what, lose] of Object.entries(losses)) {
    {
      await using agent = await fleet.agent();
      await applied(fleet, "all");
      assert.equal((await fleet.ended(fleet.shell("id", AS_ROOT))).status, "success");
      assert.equal((await agent.stop()).code, 0);
    }
    await lose();
    cp.setRootAccess(nodeId, null);
    await using agent = await fleet.agent();
    assert.match(await errorOf(fleet, "id", AS_ROOT), /"off"/, what);
    const { lastError } = Object(cp.node(nodeId).appliedRootAccess);
    assert.match(lastError, /root_access\.json .*root access is off until it is set again/);
    assert.equal((await agent.stop()).code, 0);
  }
});

Deno.test("promised root work waits for the control plane's first word; other work does not", async () => {
  await using fleet = await Fleet.start({ ...QUICK, request_timeout: "1s" }, {
    claimsOutliveCallers: false,
  });
  const { controlPlane: cp, nodeId } = fleet;
  const held = cp.fault({ path: "/accepted", hang: true });
  let asRoot: string;
  let usual: string;
  {
    await using agent = await fleet.agent();
    await applied(fleet, "all");
    // A call that gets no answer comes again: hits alone do not tell whose they are.
    const promised = (id: string) =>
      cp.waitFor(
        () => cp.requests.some(({ taskId, outcome }) => taskId === id && outcome === "hung"),
        { what: `the promise of ${id}` },
      );
    asRoot = fleet.shell("id", AS_ROOT);
    await promised(asRoot);
    usual = fleet.shell("id");
    await promised(usual);
    await agent.kill();
  }
  cp.setRootAccess(nodeId, "off");
  held.remove();
  const silent = cp.fault({ path: "/tasks/claim", hang: true });
  await using agent = await fleet.agent();
  assert.equal((await fleet.ended(usual)).status, "success");
  await agent.waitForLog("task started", ({ taskId }) => taskId === asRoot);
  silent.remove();
  const { status, completion } = await fleet.ended(asRoot);
  assert.equal(status, "failed", cp.describe(asRoot));
  assert.match(completion?.error ?? "", /profile of this node is "off"/);
  assert.equal(cp.streamText(asRoot, "stdout"), "");
  assert.equal((await agent.stop()).code, 0);
});

Deno.test("a profile that narrows ends the root terminals, and tells their operators why", async () => {
  await using fleet = await realtimeFleet(QUICK);
  await using agent = await liveAgent(fleet);
  const { controlPlane: cp } = fleet;
  const usual = await openShell(fleet);
  const asRoot = cp.realtime.openTerminal({ cols: 80, rows: 24, runAsRoot: true });
  await asRoot.waitFor((t) => t.ended || /[#$>] $/.test(t.tail(9)));
  await applied(fleet, "all");
  assert.equal(asRoot.ended, false);
  cp.setRootAccess(fleet.nodeId, "task");
  const end = await exited(asRoot);
  assert.match(end?.reason ?? "", /profile of this node is "task", .* terminals as root/);
  usual.input("echo it is st''ill there\n");
  await usual.waitForText("it is still there\r\n");
  await leavesWell(fleet, agent);
});

Deno.test("a profile that is pushed is reported at once, whatever claim is held", async () => {
  await using fleet = await realtimeFleet({ task_poll_interval: "30s" });
  await using agent = await liveAgent(fleet);
  const { controlPlane: cp } = fleet;
  await cp.waitFor(() => cp.heldClaims === 1, { what: "a claim that is held" });
  const figures: number[] = [];
  for (const profile of ["all", "task", "off", "all"] as const) {
    const sentMs = performance.now();
    await applied(fleet, profile);
    figures.push(performance.now() - sentMs);
    const last = cp.realtime.events.findLast(({ event }) => event === "agent.auth");
    assert.partialDeepStrictEqual(last?.payload, { rootAccess: { appliedProfile: profile } });
  }
  assert.equal(cp.requests.filter(({ path }) => path.endsWith("/claim")).length, 1);
  assert.equal(cp.realtime.sockets.length, 1);
  tell(`applied profile reported after ${figures.map((ms) => ms.toFixed(0)).join(", ")} ms`);
  await leavesWell(fleet, agent);
});
