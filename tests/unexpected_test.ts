import assert from "node:assert/strict";
import { AgentProcess, Fleet } from "./_agent.ts";
import { AGENT, FROM_SOURCE } from "./_command.ts";
import { eventually } from "./_processes.ts";

Deno.test("a broken handshake of the socket ends that connection, and another is tried", async () => {
  await using fleet = await Fleet.start();
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    if (request.headers.get("upgrade") !== "websocket") return new Response(null, { status: 404 });
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => socket.send("0{not json");
    return response;
  });
  await fleet.configure({
    api_url: `http://127.0.0.1:${server.addr.port}`,
    realtime_enabled: true,
  });
  await using agent = await fleet.agent();
  const { cause } = await agent.waitForLog("realtime connection failed");
  assert.match(String(cause), /JSON/);
  assert.equal((await agent.stop()).code, 0);
  assert.doesNotMatch(agent.otherOutput.join("\n"), /Uncaught/);
});

Deno.test({
  name:
    `an error that nobody catches ends the agent with its stack in the log, and a task is not lost${
      FROM_SOURCE ? "" : " (needs the agent from source)"
    }`,
  ignore: !FROM_SOURCE,
  fn: async () => {
    await using fleet = await Fleet.start();
    const thrower = `${fleet.folder}/thrower.ts`;
    await Deno.writeTextFile(
      thrower,
      `Deno.addSignalListener("SIGUSR2", () => Promise.reject(new TypeError("not thought of")));`,
    );
    const command = [...AGENT.slice(0, 2), `--preload=${thrower}`, ...AGENT.slice(2)];
    await using agent = new AgentProcess(fleet.configFile, { command });
    await agent.waitForLog("agent started");
    const task = fleet.shell("echo begun; sleep 60");
    await eventually("its first line", async () => await fleet.lines(task)[0] === "begun");
    agent.signal("SIGUSR2");
    assert.equal((await agent.ended()).code, 1);
    const [event] = agent.logged("uncaught error, the agent ends");
    assert.equal(event?.error, "not thought of");
    assert.match(String(event?.stack), /TypeError: not thought of\n +at .*thrower\.ts:1/);
    await using _next = await fleet.agent();
    assert.equal((await fleet.ended(task)).status, "failed");
  },
});
