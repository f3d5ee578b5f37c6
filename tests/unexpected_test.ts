import assert from "node:assert/strict";
import { Fleet } from "./_agent.ts";

Deno.test("an agent outlives what the socket's library throws at a broken handshake", async () => {
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
  const { level, error } = await agent.waitForLog("unexpected error, the agent goes on");
  assert.equal(level, "error");
  assert.match(String(error), /JSON/);
  assert.equal((await agent.stop()).code, 0);
  assert.doesNotMatch(agent.otherOutput.join("\n"), /Uncaught/);
});
