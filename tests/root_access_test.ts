import assert from "node:assert/strict";
import { join } from "@std/path";
import type { RootAccessProfile } from "../scripts/dev/control_plane.ts";
import { Claim } from "../src/control_plane/schemas.ts";
import { AuthAck, RootAccessUpdated } from "../src/realtime/events.ts";
import { Fleet, type LogEvent } from "./_agent.ts";
import { leavesWell, realtimeFleet } from "./_realtime.ts";
import { privileged, SecondUser } from "./_second_user.ts";
import { errorOf, outputOf } from "./_shell.ts";
import { tell } from "./_together.ts";

/** Claims come and go quickly, so that wishes and reports do. */
const QUICK = { task_poll_interval: "200ms" };
const PROFILES: RootAccessProfile[] = [
  "off",
  "operational",
  "task",
  "terminal",
  "operational_task",
  "operational_terminal",
  "task_terminal",
  "all",
];

/** Programs that must not be run here; these tell what they were asked. */
async function harmless(folder: string): Promise<string> {
  const bin = join(folder, "bin");
  await Deno.mkdir(bin);
  for (const name of ["apt-get", "dnf", "systemctl", "reboot", "shutdown"]) {
    const script = '#!/bin/sh\necho "$(id -u) ${0##*/} $*"\n';
    await Deno.writeTextFile(join(bin, name), script, { mode: 0o755 });
  }
  return `${bin}:${Deno.env.get("PATH")}`;
}

/** Tries one surface; says as whom it ran, or that it was refused. */
type Surface = (fleet: Fleet) => Promise<string>;

function task(type: string, payload: Record<string, unknown>): Surface {
  return async (fleet) => {
    const queued = fleet.controlPlane.queueTask({ type, payload });
    const { id, status, completion } = await fleet.ended(queued);
    if (status !== "success") {
      assert.match(
        completion?.error ?? "",
        /root access profile of this node is|allows exactly|rootScope: is missing/,
      );
      assert.equal(completion?.exitCode, undefined, "nothing was run");
      return "refused";
    }
    return /^0\b/.test(fleet.controlPlane.streamText(id, "stdout")) ? "root" : "user";
  };
}

function shell(command: string, payload: Record<string, unknown>): Surface {
  return task("shell.exec", { command, ...payload });
}

function terminal(runAsRoot: boolean): Surface {
  return async (fleet) => {
    const session = fleet.controlPlane.realtime.openTerminal({ cols: 80, rows: 24, runAsRoot });
    await session.waitFor((t) => t.ended || /[#$>] $/.test(t.tail(9)));
    if (session.status === "failed") {
      assert.match(session.error ?? "", /root access profile of this node is/);
      return "refused";
    }
    session.input("echo uid=$(id -u)=\r");
    await session.waitForText(/uid=\d+=/);
    session.stop();
    await session.waitFor((t) => t.ended);
    return /uid=0=/.test(session.text) ? "root" : "user";
  };
}

const SURFACES: Record<string, Surface> = {
  "task": shell("id -u", {}),
  "no scope": shell("id -u", { runAsRoot: true }),
  "scope task": shell("id -u", { runAsRoot: true, rootScope: "task" }),
  "scope terminal": shell("id -u", { runAsRoot: true, rootScope: "terminal" }),
  "apt-get update": shell("apt-get update", { runAsRoot: true, rootScope: "operational" }),
  "operational id": shell("id -u", { runAsRoot: true, rootScope: "operational" }),
  "packageInstall": task("packageInstall", { names: ["dpkg"] }),
  "terminal": terminal(false),
  "root terminal": terminal(true),
};

privileged("each profile allows what the contract says, on each surface", async () => {
  await using user = await SecondUser.make();
  await using fleet = await realtimeFleet({ ...QUICK, run_as_user: user.name });
  await using agent = await fleet.agent({
    HOME: fleet.folder,
    PATH: await harmless(fleet.folder),
  });
  await agent.waitForLog("realtime session is up");
  const cp = fleet.controlPlane;
  const row = ([first = "", ...cells]: string[]) =>
    first.padEnd(22) + cells.map((cell) => cell.padEnd(16)).join("").trimEnd();
  tell(row(["profile", ...Object.keys(SURFACES)]));

  for (const profile of [undefined, ...PROFILES]) {
    if (profile) {
      cp.setRootAccess(fleet.nodeId, profile);
      await agent.waitForLog("root access applied", (event) => event.appliedProfile === profile);
    }
    const cells: string[] = [];
    for (const surface of Object.values(SURFACES)) cells.push(await surface(fleet));
    tell(row([profile ?? "(never sent)", ...cells]));

    const may = (scope: string) =>
      !profile || profile === "all" || profile.split("_").includes(scope) ? "root" : "refused";
    assert.deepEqual(cells, [
      "user",
      "refused",
      may("task"),
      may("terminal"),
      may("operational"),
      "refused",
      may("operational"),
      "user",
      may("terminal"),
    ], `profile ${profile}`);
    if (profile) {
      const reported = () => {
        const applied = cp.node(fleet.nodeId).appliedRootAccess;
        return applied && Object.entries(applied).some(([, value]) => value === profile);
      };
      await cp.waitFor(reported, { what: `a report of ${profile}` });
    } else assert.equal(cp.node(fleet.nodeId).appliedRootAccess, undefined);
  }
  await leavesWell(fleet, agent);
});

privileged(
  "operational commands run as they are, whatever shell and folder come along",
  async () => {
    await using fleet = await Fleet.start(QUICK);
    await using agent = await fleet.agent({ PATH: await harmless(fleet.folder) });
    const upkeep = {
      runAsRoot: true,
      rootScope: "operational",
      shell: "/no/sh",
      working_dir: "/no",
    };
    const expected = {
      "apt-get update": "0 apt-get update",
      "dnf makecache": "0 dnf makecache",
      "systemctl restart noderax-agent": "0 systemctl --no-block restart noderax-agent",
      "systemctl reboot": "0 systemctl reboot",
      "reboot": "0 reboot ",
      "shutdown -r now": "0 shutdown -r now",
    };
    for (const [command, output] of Object.entries(expected)) {
      assert.equal((await outputOf(fleet, command, upkeep)).trim(), output.trim());
    }
    const environment = { APT_CONFIG: "/tmp/evil" };
    assert.match(
      await errorOf(fleet, "apt-get update", { ...upkeep, environment }),
      /takes no environment/,
    );
    assert.match(
      await errorOf(fleet, "id", { runAsRoot: true, rootScope: "everything" }),
      /rootScope/,
    );
    assert.equal((await agent.stop()).code, 0);
  },
);

Deno.test("a profile is reported, kept over a restart, and an unknown one is off", async () => {
  await using fleet = await realtimeFleet(QUICK, { claimsOutliveCallers: false });
  const cp = fleet.controlPlane;
  const reported = (what: string, expected: Record<string, unknown>) =>
    cp.waitFor(() => {
      const applied = { ...Object(cp.node(fleet.nodeId).appliedRootAccess) };
      return Object.entries(expected).every(([key, value]) => applied[key] === value) && applied;
    }, { what });
  const root = { runAsRoot: true, rootScope: "task" };
  {
    await using agent = await fleet.agent();
    await agent.waitForLog("realtime session is up");
    cp.setRootAccess(fleet.nodeId, "terminal");
    const { lastAppliedAt } = await reported("the profile", { appliedProfile: "terminal" });
    assert(Math.abs(Date.parse(lastAppliedAt) - Date.now()) < 60_000);
    assert.match(await errorOf(fleet, "id", root), /"terminal".*: it takes one of task, /);
  }
  // The control plane has nothing to say any more, and what it said holds.
  cp.setRootAccess(fleet.nodeId, null);
  {
    await using agent = await fleet.agent();
    assert.match(await errorOf(fleet, "id", root), /"terminal"/);
    await agent.waitForLog("realtime session is up");
    const auth = cp.realtime.events.findLast(({ event }) => event === "agent.auth");
    assert.partialDeepStrictEqual(auth?.payload, { rootAccess: { appliedProfile: "terminal" } });

    const type = "root-access.updated";
    cp.realtime.send(fleet.nodeId, type, { type, rootAccess: { profile: "super" } });
    const { lastError } = await reported("the error", { appliedProfile: "off" });
    assert.match(lastError, /no root access profile "super": it is off/);
    assert.match(await errorOf(fleet, "id", root), /"off"/);
    cp.setRootAccess(fleet.nodeId, "all");
    const misshapen = [{ profile: 7 }, { profile: null }, { profile: ["all"] }, {}, "all", 7, []];
    for (const rootAccess of misshapen) {
      const past = new Set(agent.events);
      cp.realtime.send(fleet.nodeId, type, { type, rootAccess });
      const fits = (event: LogEvent) => event.appliedProfile === "off" && !past.has(event);
      const { lastError } = await agent.waitForLog("root access applied", fits);
      assert.match(String(lastError), /knows no root access profile/, JSON.stringify(rootAccess));
    }
    await reported("its end", { appliedProfile: "all", lastError: undefined });
    assert.equal((await fleet.ended(fleet.shell("id", root))).status, "success");
    assert.equal((await agent.stop()).code, 0);
  }
  const file = join(fleet.stateFolder, "root_access.json");
  assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  await Deno.writeTextFile(file, "{");
  cp.setRootAccess(fleet.nodeId, null);
  await using agent = await fleet.agent();
  const { lastError } = await reported("the damage", { appliedProfile: "off" });
  assert.match(lastError, /cannot be used/);
  assert.match(await errorOf(fleet, "id", root), /"off"/);
  await leavesWell(fleet, agent);
});

Deno.test("only a missing or null root access says nothing, however it comes", () => {
  const cases: [unknown, unknown][] = [
    [{ profile: "off", updatedAt: 1_763_000_000_000 }, { profile: "off", updatedAt: undefined }],
    [{ profile: "off", updatedAt: null }, { profile: "off", updatedAt: null }],
    [{ profile: { all: true } }, { profile: '{"all":true}' }],
    [{}, { profile: "{}", updatedAt: undefined }],
    ["all", { profile: '"all"', updatedAt: undefined }],
    [["all"], { profile: '["all"]', updatedAt: undefined }],
    [false, { profile: "false", updatedAt: undefined }],
  ];
  const others = { authenticated: true, nodeId: "n", task: null, outputTruncated: false };
  for (const [rootAccess, expected] of cases) {
    for (const schema of [Claim, AuthAck, RootAccessUpdated]) {
      assert.deepEqual(schema.parse({ ...others, rootAccess }).rootAccess, expected);
    }
  }
  for (const nothing of [{}, { rootAccess: null }, { rootAccess: undefined }]) {
    for (const schema of [Claim, AuthAck]) {
      assert.equal(schema.parse({ ...others, ...nothing }).rootAccess ?? undefined, undefined);
    }
    assert.equal(RootAccessUpdated.safeParse(nothing).success, false);
  }
});
