import assert from "node:assert/strict";
import { join } from "@std/path";
import * as z from "@zod/zod";
import { isTransient, RefusedError, UnreachableError, UnusableAnswerError } from "./errors.ts";
import { type HttpCall, HttpTransport } from "./http.ts";
import { createClient } from "./network.ts";

const Answer = z.object({ ok: z.boolean() });
const LOCAL = { hostname: "127.0.0.1", port: 0, onListen: () => {} };

function call(options: Partial<HttpCall<z.infer<typeof Answer>>> = {}) {
  return { method: "GET" as const, path: "/x", answer: Answer, timeoutMs: 60_000, ...options };
}

async function withServer(
  handler: (request: Request) => Response | Promise<Response>,
  test: (transport: HttpTransport, url: string) => Promise<void>,
): Promise<void> {
  await using server = Deno.serve(LOCAL, handler);
  const url = `http://127.0.0.1:${server.addr.port}`;
  using transport = new HttpTransport(url);
  await test(transport, url);
}

/** A server that does with each connection what a broken one does. */
async function withRawServer(
  serve: (connection: Deno.TcpConn) => Promise<void>,
  test: (transport: HttpTransport) => Promise<void>,
): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.TcpConn[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      connections.push(connection);
      await serve(connection).catch(() => {});
    }
  })();
  {
    using transport = new HttpTransport(`http://127.0.0.1:${listener.addr.port}`);
    await test(transport);
  }
  listener.close();
  await serving;
  for (const connection of connections) {
    try {
      connection.close();
    } catch {
      // It was the server's part to close it.
    }
  }
}

async function readRequest(connection: Deno.TcpConn): Promise<void> {
  await connection.read(new Uint8Array(65_536));
}

function write(connection: Deno.TcpConn, text: string): Promise<number> {
  return connection.write(new TextEncoder().encode(text));
}

async function failure(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    assert(error instanceof Error);
    return error;
  }
  assert.fail("it went well");
}

Deno.test("a call sends its JSON and headers below /api/v1 and parses the answer", async () => {
  let seen: unknown;
  await withServer(async (request) => {
    seen = {
      method: request.method,
      path: new URL(request.url).pathname,
      type: request.headers.get("content-type"),
      secret: request.headers.get("authorization"),
      body: await request.json(),
    };
    return Response.json({ ok: true, more: 1 });
  }, async (transport) => {
    const headers = { authorization: "Bearer s" };
    const answer = await transport.call(call({ method: "POST", body: { a: "ä" }, headers }));
    assert.deepEqual(answer, { ok: true });
    assert.deepEqual(seen, {
      method: "POST",
      path: "/api/v1/x",
      type: "application/json",
      secret: "Bearer s",
      body: { a: "ä" },
    });
  });
});

Deno.test("a refusal tells its status and the server's words", async () => {
  const answers: [number, BodyInit, string, boolean][] = [
    [400, JSON.stringify({ message: "bad", errors: ["a", "bad"] }), "bad; a", false],
    [409, JSON.stringify({ message: ["one", "two"] }), "one; two", false],
    [401, "", "HTTP status 401", false],
    [429, "slow down", "HTTP status 429", true],
    [500, "<html>", "HTTP status 500", true],
    [503, JSON.stringify({ message: 5 }), "HTTP status 503", true],
  ];
  for (const [status, body, message, transient] of answers) {
    await withServer(() => new Response(body, { status }), async (transport) => {
      const error = await failure(transport.call(call()));
      assert(error instanceof RefusedError, `${status}`);
      assert.equal(error.status, status);
      assert.equal(error.message, message);
      assert.equal(isTransient(error), transient);
    });
  }
});

Deno.test("a redirect is not followed, and said", async () => {
  let asked = 0;
  const elsewhere = () => {
    asked++;
    return Response.json({ ok: true });
  };
  await withServer(elsewhere, async (_, other) => {
    const redirect = () => new Response("moved", { status: 307, headers: { location: other } });
    await withServer(redirect, async (transport) => {
      const headers = { authorization: "Bearer s" };
      const error = await failure(transport.call(call({ headers })));
      assert(error instanceof RefusedError);
      assert.match(error.message, new RegExp(`redirected to ${other}.*api_url`));
    });
  });
  assert.equal(asked, 0, "the token stayed here");
});

Deno.test("an answer that is not the contract's is none", async () => {
  const bodies = ["", "<html>sign in</html>", '{"ok":', '{"ok":"yes"}', "[]", "null", "\xff\xfe"];
  for (const body of bodies) {
    await withServer(() => new Response(body), async (transport) => {
      const error = await failure(transport.call(call()));
      assert(error instanceof UnreachableError, JSON.stringify(body));
      assert.match(error.message, /^GET \/x: the answer is not the control plane's/);
      assert(isTransient(error));
    });
  }
});

Deno.test("a connection that hangs ends by its limit: before the answer, and within it", async () => {
  const beginnings = [
    "",
    "HTTP/1.1 200 OK\r\n",
    'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"ok"',
  ];
  for (const beginning of beginnings) {
    await withRawServer(async (connection) => {
      await readRequest(connection);
      if (beginning !== "") await write(connection, beginning);
    }, async (transport) => {
      const startMs = performance.now();
      const error = await failure(transport.call(call({ timeoutMs: 200 })));
      assert(error instanceof UnreachableError);
      assert.equal(error.message, "GET /x: no answer within 0.2 s");
      assert(performance.now() - startMs < 30_000);
    });
  }
});

Deno.test("an answer that drips for ever ends by the same limit", async () => {
  let timer: ReturnType<typeof setInterval> | undefined;
  const drip = new ReadableStream<Uint8Array>({
    start: (controller) => {
      timer = setInterval(() => controller.enqueue(new TextEncoder().encode(" ")), 10);
    },
    cancel: () => clearInterval(timer),
  });
  await withServer(() => new Response(drip), async (transport) => {
    const error = await failure(transport.call(call({ timeoutMs: 200 })));
    assert.equal(error.message, "GET /x: no answer within 0.2 s");
  });
});

Deno.test("a reset, a port where nobody listens and a body cut short are no answers", async () => {
  const cut = 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"ok":true}';
  for (const answer of ["", "garbage\r\n\r\n", cut]) {
    await withRawServer(async (connection) => {
      await readRequest(connection);
      if (answer !== "") await write(connection, answer);
      connection.close();
    }, async (transport) => {
      const error = await failure(transport.call(call({ method: "POST", body: {} })));
      assert(error instanceof UnreachableError, `${error}`);
      assert.match(error.message, /^POST \/x: ./);
    });
  }
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  using transport = new HttpTransport(`http://127.0.0.1:${port}`);
  const error = await failure(transport.call(call()));
  assert(error instanceof UnreachableError);
  assert.match(error.message, /refused/i);
});

Deno.test("an answer without end fills neither memory nor time", async () => {
  const chunk = new Uint8Array(1024 * 1024).fill(0x20);
  let sent = 0;
  let cancelled = false;
  const flood = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent++;
      controller.enqueue(chunk.slice());
    },
    cancel: () => {
      cancelled = true;
    },
  });
  await withServer(() => new Response(flood), async (transport) => {
    const error = await failure(transport.call(call({ timeoutMs: 60_000 })));
    assert(error instanceof UnreachableError);
    assert.match(error.message, /larger than 64 MiB/);
    while (!cancelled) await new Promise((resolve) => setTimeout(resolve, 1));
  });
  assert(sent < 100, `${sent} MiB were taken`);
});

Deno.test("an answer too deep, or of too many values, is none", async () => {
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  const answers: [string, RegExp][] = [
    [deep, /it is nested deeper than 10000/],
    [`{"ok":true,"more":${deep}}`, /it is nested deeper than 10000/],
    [`${'""'.repeat(4_000_001)}`, /it has more than 2000000 values/],
    ["]".repeat(1_000), /body: /],
    [`{"ok":true,"more":"\\"${"[".repeat(20_000)}`, /body: /],
    [`{"ok":true,"more":[${"{},".repeat(2_000_000)}0]}`, /it has more than 2000000 values/],
  ];
  for (const [answer, words] of answers) {
    await withServer(() => new Response(answer), async (transport) => {
      const error = await failure(transport.call(call()));
      assert(error instanceof UnusableAnswerError);
      assert.match(error.message, words);
    });
  }
  // What stands in a string is one value.
  const text = JSON.stringify({ ok: true, text: '[{,"\\'.repeat(500_000) });
  await withServer(() => new Response(text), async (transport) => {
    assert.deepEqual(await transport.call(call()), { ok: true });
  });
});

Deno.test("of a refusal no more is read than its words can need", async () => {
  const chunk = new Uint8Array(16 * 1024).fill(0x20);
  let sent = 0;
  const flood = () =>
    new ReadableStream<Uint8Array>({
      pull: (controller) => {
        sent += chunk.length;
        controller.enqueue(chunk.slice());
        if (sent > 60 * 1024 * 1024) controller.close();
      },
    });
  const headers = { "retry-after": "7" };
  await withServer(() => new Response(flood(), { status: 503, headers }), async (transport) => {
    const error = await failure(transport.call(call({ timeoutMs: 60_000 })));
    assert(error instanceof RefusedError);
    assert.equal(error.message, "HTTP status 503");
    assert.equal(error.retryAfterMs, 7_000);
  });
  // What the connection itself holds comes on top.
  assert(sent < 8 * 1024 * 1024, `${sent} bytes were taken`);
});

Deno.test("the caller may give up early, and before it begins", async () => {
  let reached = 0;
  const never = Promise.withResolvers<Response>();
  const handler = () => {
    reached++;
    return never.promise;
  };
  await withServer(handler, async (transport) => {
    const stop = new AbortController();
    const calling = failure(transport.call(call({ signal: stop.signal })));
    while (reached === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    stop.abort();
    assert(await calling instanceof UnreachableError);
    assert(
      await failure(transport.call(call({ signal: AbortSignal.abort() }))) instanceof
        UnreachableError,
    );
    assert.equal(reached, 1);
    never.resolve(Response.json({ ok: true }));
  });
});

Deno.test("an answer that has begun to arrive is taken, although the caller has given up", async () => {
  const begun = Promise.withResolvers<void>();
  const rest = Promise.withResolvers<void>();
  const handler = () =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          controller.enqueue(new TextEncoder().encode('{"ok":'));
          begun.resolve();
          await rest.promise;
          controller.enqueue(new TextEncoder().encode("true}"));
          controller.close();
        },
      }, { highWaterMark: 0 }),
    );
  await withServer(handler, async (transport) => {
    const stop = new AbortController();
    const answer = transport.call(call({ signal: stop.signal }));
    await begun.promise;
    // The head is on its way; only when it is here does the giving up come too late.
    setTimeout(() => stop.abort(), 4_000);
    setTimeout(rest.resolve, 4_100);
    assert.deepEqual(await answer, { ok: true });
  });
});

Deno.test("an error never shows the address, which may hold an enrollment token", async () => {
  await withRawServer((connection) => {
    connection.close();
    return Promise.resolve();
  }, async (transport) => {
    const error = await failure(transport.call(call()));
    assert(!error.message.includes(transport.apiUrl), error.message);
  });
});

async function openssl(folder: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, cwd: folder }).output();
  assert(success, new TextDecoder().decode(stderr));
}

/** rustls refuses a certificate that is its own authority: one of each. */
async function makeCertificates(folder: string): Promise<void> {
  await openssl(
    folder,
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(" "),
    ..."-keyout ca.key -out ca.pem -days 2 -subj /CN=authority".split(" "),
  );
  await openssl(
    folder,
    ..."req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(" "),
    ..."-keyout leaf.key -out leaf.csr -subj /CN=localhost".split(" "),
  );
  await Deno.writeTextFile(
    join(folder, "ext"),
    "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
  );
  await openssl(
    folder,
    ..."x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial".split(" "),
    ..."-out leaf.pem -days 2 -extfile ext".split(" "),
  );
}

const hasOpenssl = await new Deno.Command("openssl", { args: ["version"] }).output()
  .then(({ success }) => success, () => false);

Deno.test({
  name: "an authority of the company's own is trusted once it is named, and not before",
  ignore: !hasOpenssl,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "tls_" });
    try {
      await makeCertificates(folder);
      const read = (name: string) => Deno.readTextFile(join(folder, name));
      const tls = { cert: await read("leaf.pem"), key: await read("leaf.key") };
      await using server = Deno.serve({ ...LOCAL, ...tls }, () => Response.json({ ok: true }));
      const url = `https://127.0.0.1:${server.addr.port}`;
      using trusting = new HttpTransport(url, createClient(await read("ca.pem")));
      assert.deepEqual(await trusting.call(call()), { ok: true });
      using wary = new HttpTransport(url);
      const error = await failure(wary.call(call()));
      assert(error instanceof UnreachableError);
      assert.match(error.message, /certificate/i);
      assert.throws(() => createClient("not a certificate"), /no certificate/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
