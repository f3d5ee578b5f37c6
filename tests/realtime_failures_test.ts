import assert from "node:assert/strict";
import { join } from "@std/path";
import type { AgentProcess, Fleet } from "./_agent.ts";
import { leavesWell, liveAgent, realtimeFleet, spawnLive } from "./_realtime.ts";
import { tlsFront } from "./_tls_front.ts";
import { together } from "./_together.ts";

const FAILED = "realtime connection failed";
const UP = "realtime session is up";

/** The names of all failures that were logged where a person sees them. */
function failures(agent: AgentProcess): unknown[] {
  return agent.logged(FAILED).filter(({ level }) => level !== "debug")
    .map(({ failure }) => failure);
}

/** The received events of a name, all or those of a socket. */
function received({ controlPlane: cp }: Fleet, event: string, socketId?: string) {
  return cp.realtime.events.filter((record) =>
    record.event === event && (socketId === undefined || record.socketId === socketId)
  );
}

/** Ways in which a session does not come about, each until it does. */
const FAILURES: Record<string, () => Promise<void>> = {
  "a health check that fails is warned of, the connect still tried": async () => {
    await using fleet = await realtimeFleet();
    fleet.controlPlane.fault({ path: "transport=polling", status: 500 });
    await using agent = await liveAgent(fleet);
    const [warning, ...more] = agent.logged("realtime health check failed");
    assert.equal(warning?.level, "warn");
    assert.equal(warning.url, `${fleet.controlPlane.url}/socket.io/`);
    assert.equal(warning.problem, "HTTP status 500 without a session id");
    assert.deepEqual(more, []);
    await leavesWell(fleet, agent);
  },

  "a control plane that is not there": async () => {
    await using fleet = await realtimeFleet();
    const { controlPlane: cp } = fleet;
    await cp.stop();
    await using agent = spawnLive(fleet);
    const { failure, cause, check, level } = await agent.waitForLog(FAILED);
    assert.deepEqual([failure, level], ["transport dial failure", "warn"]);
    assert.match(String(cause), /refused/);
    assert.match(String(check), /^check that the control plane runs/);
    await cp.start();
    await agent.waitForLog(UP);
    assert.deepEqual(failures(agent), ["transport dial failure"]);
    await leavesWell(fleet, agent);
  },

  "another path, until the configuration is read again": async () => {
    await using fleet = await realtimeFleet({ realtime_path: "/rt" });
    const { controlPlane: cp } = fleet;
    cp.fault({ path: "/rt/", status: 404 });
    await using agent = spawnLive(fleet);
    const { failure, cause } = await agent.waitForLog(FAILED);
    assert.equal(failure, "transport dial failure");
    assert.match(String(cause), /over HTTP: HTTP status 404 without a session id/);
    const asked = cp.requests.map(({ path }) => path.split("?")[0]);
    assert(asked.includes("/rt/") && !asked.includes("/socket.io/"), asked.join(" "));
    await fleet.configure({ realtime_enabled: true, realtime_backoff_jitter: 1 });
    agent.signal("SIGHUP");
    await agent.waitForLog(UP);
    await leavesWell(fleet, agent);
  },

  "another namespace": async () => {
    await using fleet = await realtimeFleet({ realtime_namespace: "/agents" });
    await using agent = spawnLive(fleet);
    const { failure, cause, check } = await agent.waitForLog(FAILED);
    assert.deepEqual([failure, cause], ["namespace connect failure", "Invalid namespace"]);
    assert.match(String(check), /realtime_namespace/);
    assert.equal((await agent.stop()).code, 0);
  },

  "credentials that are refused are told of once, and tried again": async () => {
    await using fleet = await realtimeFleet({ log_level: "debug" }, { refuseAuth: "No such node" });
    const { controlPlane: cp } = fleet;
    await using agent = spawnLive(fleet);
    const { failure, cause, level } = await agent.waitForLog(FAILED);
    assert.deepEqual([failure, cause, level], ["auth error", "No such node", "error"]);
    await cp.waitFor(() => received(fleet, "agent.auth").length >= 3);
    cp.options.refuseAuth = null;
    await agent.waitForLog(UP);
    assert.deepEqual(failures(agent), ["auth error"]);
    await leavesWell(fleet, agent);
  },

  "a token that is wrong is no part of the log": async () => {
    await using fleet = await realtimeFleet();
    const secret = "a-token-of-somebody-else";
    await fleet.configure({ realtime_enabled: true, agent_token: secret, log_level: "debug" });
    await using agent = spawnLive(fleet);
    assert.equal((await agent.waitForLog(FAILED)).failure, "auth error");
    assert.equal((await agent.stop()).code, 0);
    assert(!JSON.stringify(agent.events).includes(secret));
  },

  "TLS: an authority that nobody knows, and one from the configured file": async () => {
    await using fleet = await realtimeFleet();
    await using front = await tlsFront(fleet);
    const config = { realtime_enabled: true, api_url: front.url };
    {
      await fleet.configure(config);
      await using agent = spawnLive(fleet);
      const { failure, cause, check } = await agent.waitForLog(FAILED);
      assert.equal(failure, "tls/proxy handshake failure");
      assert.match(String(cause), /certificate.*UnknownIssuer/);
      assert.match(String(check), /api_tls_ca_file/);
    }
    await fleet.configure({ ...config, api_tls_ca_file: join(fleet.folder, "ca.pem") });
    await using agent = await liveAgent(fleet);
    assert.equal((await fleet.ended(fleet.shell("true"))).status, "success");
    await leavesWell(fleet, agent);
  },

  "a control plane without realtime does not disturb tasks": async () => {
    await using fleet = await realtimeFleet({ log_level: "debug" });
    const { controlPlane: cp } = fleet;
    cp.fault({ path: "/socket.io/", status: 404 });
    await using agent = spawnLive(fleet);
    const { failure, cause } = await agent.waitForLog(FAILED);
    assert.equal(failure, "transport dial failure");
    assert.match(String(cause), /HTTP status 404/);
    const ids = Array.from({ length: 5 }, (_, i) => fleet.shell(`echo ${i}`));
    for (const [i, id] of ids.entries()) {
      assert.equal((await fleet.ended(id)).completion?.output, `${i}`);
    }
    assert.deepEqual(failures(agent), ["transport dial failure"]);
    await leavesWell(fleet, agent);
  },

  "without a socket heartbeats go on": async () => {
    await using fleet = await realtimeFleet({ heartbeat_interval: "200ms" });
    const { controlPlane: cp } = fleet;
    cp.fault({ path: "transport=websocket", status: 503 });
    await using agent = spawnLive(fleet);
    const beats = () => cp.requests.filter(({ path }) => path.endsWith("/heartbeat"));
    await cp.waitFor(() => beats().length >= 5);
    assert.equal(cp.node(fleet.nodeId).status, "online");
    assert.deepEqual([...new Set(beats().slice(0, 4).map(({ status }) => status))], [200]);
    assert.equal((await agent.stop()).code, 0);
  },

  "realtime_enabled=false says what is lost, all else works": async () => {
    await using fleet = await realtimeFleet({ realtime_enabled: false });
    const { controlPlane: cp } = fleet;
    await using agent = spawnLive(fleet);
    const { level, lost } = await agent.waitForLog("realtime is disabled");
    assert.equal(level, "warn");
    assert.match(String(lost), /terminals.*metrics/);
    assert.equal((await fleet.ended(fleet.shell("true"))).status, "success");
    assert.equal(cp.requests.some(({ path }) => path.includes("socket.io")), false);
    await leavesWell(fleet, agent);
  },
};

Deno.test("failures are named, and overcome", () => together(FAILURES));
