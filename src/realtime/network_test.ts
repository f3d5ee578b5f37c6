import assert from "node:assert/strict";
import { join } from "@std/path";
import { certificates } from "./_certificates.ts";
import { ConnectProxy } from "./_connect_proxy.ts";
import { TestServer } from "./_test_server.ts";

const HERE = import.meta.dirname ?? ".";

/** Runs `_connect_once.ts` with no more of the environment than the agent may see; gives its log. */
async function connectOnce(args: string[], env: Record<string, string> = {}) {
  const permissions = ["--allow-net", "--allow-read", "--allow-env=DENO_TLS_CA_STORE"];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // deno-fmt-ignore
    args: ["run", "--no-prompt", "--no-check", "--ignore-env", ...permissions,
      join(HERE, "_connect_once.ts"), ...args],
    // Deno looks for its own updates, through the proxy too.
    env: { DENO_NO_UPDATE_CHECK: "1", ...env },
  }).output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n").filter(Boolean);
  assert.ok(lines.length > 0, new TextDecoder().decode(stderr));
  const events: Record<string, unknown>[] = lines.map((line) => JSON.parse(line));
  const find = (msg: string) => events.find((event) => event.msg === msg);
  return {
    up: find("realtime session is up") !== undefined,
    failure: find("realtime connection failed")?.failure,
    cause: find("realtime connection failed")?.cause,
    health: find("realtime health check failed")?.problem,
    httpStatus: find("http")?.status,
  };
}

Deno.test("realtime and HTTP trust and tunnel alike", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "noderax-test-" });
  await using _folder = {
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
  await using server = await TestServer.start({ tls: await certificates(folder) });
  const ca = join(folder, "ca.pem");
  const local = `https://localhost:${server.port}`;
  // Only the proxy of the test knows where this is.
  const remote = `https://control-plane.test:${server.port}`;
  const good = {
    up: true,
    failure: undefined,
    cause: undefined,
    health: undefined,
    httpStatus: 404,
  };

  await t.step("an authority from the CA file", async () => {
    assert.deepEqual(await connectOnce([local, ca]), good);
  });
  await t.step("an authority of the system's", async () => {
    assert.deepEqual(await connectOnce([local], { SSL_CERT_FILE: ca }), good);
  });
  await t.step("a store of the system's that is not there", async () => {
    const env = { SSL_CERT_FILE: join(folder, "missing.pem") };
    assert.deepEqual(await connectOnce([local, ca], env), good);
  });
  await t.step("an unknown authority", async () => {
    const { failure, cause, up } = await connectOnce([local]);
    assert.deepEqual([up, failure], [false, "tls/proxy handshake failure"]);
    assert.match(String(cause), /UnknownIssuer/);
  });
  await t.step("HTTPS_PROXY", async () => {
    await using proxy = await ConnectProxy.start();
    assert.deepEqual(await connectOnce([remote, ca], { HTTPS_PROXY: proxy.url }), good);
    assert.deepEqual([...new Set(proxy.asked)], ["control-plane.test"]);
    assert.ok(proxy.asked.length >= 2);
  });
  await t.step("NO_PROXY", async () => {
    await using proxy = await ConnectProxy.start();
    const env = { HTTPS_PROXY: proxy.url, NO_PROXY: "localhost" };
    assert.deepEqual(await connectOnce([local, ca], env), good);
    assert.deepEqual(proxy.asked, []);
  });
  await t.step("a proxy that wants a password", async () => {
    await using proxy = await ConnectProxy.start("407 Proxy Authentication Required");
    const { failure, health } = await connectOnce([remote, ca], { HTTPS_PROXY: proxy.url });
    assert.equal(failure, "tls/proxy handshake failure");
    assert.equal(health, "proxy authentication required");
  });
});
