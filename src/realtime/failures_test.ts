import assert from "node:assert/strict";
import { Connection } from "./connection.ts";
import { endpointOf } from "./transport.ts";
import { createClient } from "../control_plane/network.ts";
import { RealtimeFailure } from "./failures.ts";
import { IDENTITY, TestServer } from "./_test_server.ts";
import { TestSession } from "./_test_session.ts";

/** How a session to `url` fails for the first time. */
async function failure(url: string, config: Partial<TestSession["config"]> = {}) {
  await using test = new TestSession(url, config);
  const { failure, cause, check, level } = await test.logged("realtime connection failed");
  const health = test.log.find(({ msg }) => msg === "realtime health check failed");
  assert.equal(level, "warn");
  assert.match(String(check), /check/);
  return { failure, cause, health: health?.problem };
}

Deno.test("a control plane that does not listen is a dial failure", async () => {
  const gone = await TestServer.start();
  const { url } = gone;
  await gone[Symbol.asyncDispose]();
  assert.deepEqual(await failure(url), {
    failure: "transport dial failure",
    cause: "tcp connect error; over HTTP: tcp connect error: Connection refused (os error 111)",
    health: "tcp connect error: Connection refused (os error 111)",
  });
});

Deno.test("another path is a dial failure, and its health check fails", async () => {
  await using server = await TestServer.start();
  const { failure: name, cause, health } = await failure(server.url, { realtimePath: "/other/" });
  assert.equal(name, "transport dial failure");
  assert.match(String(cause), /404|unexpected|eof|connection closed/i);
  assert.match(String(health), /without a session id|no answer/);
});

Deno.test("a namespace that is not there is named", async () => {
  await using server = await TestServer.start({ namespace: "/other" });
  assert.deepEqual(await failure(server.url), {
    failure: "namespace connect failure",
    cause: "Invalid namespace",
    health: undefined,
  });
});

Deno.test("https to a port that speaks http is a handshake failure", async () => {
  await using server = await TestServer.start();
  const { failure: name } = await failure(server.url.replace("http", "https"));
  assert.equal(name, "tls/proxy handshake failure");
});

Deno.test("an address that is none is said to be so", async () => {
  for (const url of ["http://[half", "ftp://files.example"]) {
    assert.equal((await failure(url)).failure, "invalid URL input");
  }
});

Deno.test("the API's own path is kept, and slashes do not matter", () => {
  assert.deepEqual(endpointOf("https://host:1/noderax", "/socket.io"), {
    origin: "https://host:1",
    path: "/noderax/socket.io/",
  });
  assert.deepEqual(endpointOf("http://host", "/rt//").path, "/rt/");
});

/** Opens one connection, each of whose steps may take so long. */
async function openConnection(url: string, stepLimitMs = 5_000): Promise<unknown> {
  const client = createClient();
  try {
    await using connection = new Connection({
      io: await import("socket.io-client"),
      endpoint: endpointOf(url, "/socket.io/"),
      namespace: "/agent-realtime",
      client,
      onEvent: () => {},
      stepLimitMs,
    });
    return await connection.open({ ...IDENTITY }, new AbortController().signal)
      .catch((error) => error);
  } finally {
    client.close();
  }
}

Deno.test("an authentication without an answer fails", async () => {
  await using server = await TestServer.start();
  server.authAnswer = undefined;
  const error = await openConnection(server.url);
  assert.ok(error instanceof RealtimeFailure);
  assert.deepEqual([error.failure, error.message], ["auth error", "no answer within 5 s"]);
});

Deno.test("an answer that does not let the node in fails", async () => {
  await using server = await TestServer.start();
  server.authAnswer = { authenticated: false };
  const error = await openConnection(server.url);
  assert.ok(error instanceof RealtimeFailure);
  assert.equal(error.failure, "auth error");
});

Deno.test("a server that accepts and says nothing is a dial failure, and is hung up on", async () => {
  using mute = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = mute.accept();
  const error = await openConnection(`http://127.0.0.1:${mute.addr.port}`, 300);
  assert.ok(error instanceof RealtimeFailure);
  assert.equal(error.failure, "transport dial failure");
  using connection = await accepted;
  const bytes = new Uint8Array(1_000);
  while (await connection.read(bytes) !== null);
});
