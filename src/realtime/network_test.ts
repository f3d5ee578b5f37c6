import assert from "node:assert/strict";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { join } from "@std/path";
import { certificates } from "./_certificates.ts";
import { TestServer } from "./_test_server.ts";

const HERE = import.meta.dirname ?? ".";

/** A proxy that tunnels to this machine, or answers `refusal`. */
class ConnectProxy implements AsyncDisposable {
  readonly asked: string[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server;

  private constructor(refusal?: string) {
    this.#server = createServer((near) => {
      this.#keep(near);
      near.once("data", (head) => {
        const [, host = "", port = ""] = /^CONNECT ([^:]+):(\d+) /.exec(head.toString()) ?? [];
        this.asked.push(host);
        if (refusal) {
          near.end(`HTTP/1.1 ${refusal}\r\n\r\n`);
          return;
        }
        const far = connectTcp(Number(port), "127.0.0.1", () => {
          near.write("HTTP/1.1 200 OK\r\n\r\n");
          near.pipe(far).pipe(near);
        });
        this.#keep(far);
      });
    });
  }

  static async start(refusal?: string): Promise<ConnectProxy> {
    const proxy = new ConnectProxy(refusal);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    const address = this.#server.address();
    return typeof address === "object" ? `http://127.0.0.1:${address?.port}` : "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
  }
}

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
