import assert from "node:assert/strict";
import { startPage } from "./_page.ts";
import { output, type RealtimeTest, setUpRealtime } from "./_test_socket.ts";
import { frame, type News, type PageRequest, unframe } from "./page/messages.ts";

/** A page as its server sees it, without a browser. */
class TestPage implements AsyncDisposable {
  readonly news: News[] = [];
  readonly output = new Map<string, string>();
  readonly #socket: WebSocket;

  constructor(url: URL) {
    const socketUrl = `ws://${url.host}/dev/socket?key=${url.hash.slice(1)}`;
    this.#socket = new WebSocket(socketUrl, { headers: { origin: url.origin } });
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (!(data instanceof ArrayBuffer)) return void this.news.push(...JSON.parse(String(data)));
      const { sessionId, bytes } = unframe(data);
      const before = this.output.get(sessionId) ?? "";
      this.output.set(sessionId, before + new TextDecoder().decode(bytes));
    };
  }

  /** The last news of a type. */
  last<T extends News["type"]>(type: T): Extract<News, { type: T }> | undefined {
    const isIt = (news: News): news is Extract<News, { type: T }> => news.type === type;
    return this.news.filter(isIt).at(-1);
  }

  ask(request: PageRequest): void {
    this.#socket.send(JSON.stringify(request));
  }

  type(sessionId: string, text: string): void {
    this.#socket.send(frame(sessionId, new TextEncoder().encode(text)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.onclose = resolve);
    this.#socket.close();
    await closed;
  }
}

function serve(t: RealtimeTest): ReturnType<typeof startPage> {
  return startPage(t.cp, { run: (task) => void t.cp.queueTask(task) });
}

/** The status of a request with just these headers. */
async function statusOf(url: URL, path: string, headers: Record<string, string>): Promise<number> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(url.port) });
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const request = `GET ${path} HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const answer = new Uint8Array(100);
  await connection.read(answer);
  return Number(new TextDecoder().decode(answer).split(" ")[1]);
}

Deno.test("the page answers only to its own name, its own origin and its own key", async () => {
  await using t = await setUpRealtime();
  await using page = serve(t);
  const url = new URL(page.url);
  const host = url.host;
  assert.equal(url.hostname, "127.0.0.1");
  assert.equal(await statusOf(url, "/", { host }), 200);
  assert.equal(await statusOf(url, "/", { host: `localhost:${url.port}` }), 200);
  assert.equal(await statusOf(url, "/", { host: `evil.example:${url.port}` }), 403);
  assert.equal(await statusOf(url, "/", { host, origin: "http://evil.example" }), 403);
  const socket = `/dev/socket?key=${url.hash.slice(1)}`;
  const upgrade = {
    host,
    upgrade: "websocket",
    "sec-websocket-key": btoa("0123456789abcdef"),
    "sec-websocket-version": "13",
  };
  assert.equal(await statusOf(url, socket, upgrade), 403, "no origin");
  assert.equal(await statusOf(url, socket, { ...upgrade, origin: "null" }), 403);
  const { origin } = url;
  assert.equal(await statusOf(url, "/dev/socket?key=wrong", { ...upgrade, origin }), 403);
  assert.equal(await statusOf(url, "/dev/socket", { ...upgrade, origin }), 403);
});

Deno.test("its files are served, scripts without their types; nothing else is", async () => {
  await using t = await setUpRealtime();
  await using page = serve(t);
  const get = async (path: string) => {
    const response = await fetch(new URL(path, page.url));
    return { status: response.status, text: await response.text() };
  };
  const { text } = await get("/");
  const named = [...text.matchAll(/"(\/[a-z_]+\.[a-z]+)"/g)].map(([, path = ""]) => path);
  assert.ok(named.length >= 6, "the style sheet, the script, what it imports");
  assert.match((await get("/styles.css")).text, /#tasks .*\.row /s, "all style sheets in one");
  for (const path of named) assert.equal((await get(path)).status, 200, path);
  assert.doesNotMatch((await get("/messages.ts")).text, /interface|: string/);
  for (const path of ["/deno.json", "/../dev.ts", "/%2e%2e/dev.ts", "/nothing.ts"]) {
    assert.equal((await get(path)).status, 404, path);
  }
});

Deno.test("a page is told of the node, tasks and telemetry, and what it asks for is done", async () => {
  await using t = await setUpRealtime();
  await using server = serve(t);
  const agent = await t.agent();
  await using page = new TestPage(new URL(server.url));
  await t.until(() => page.last("node")?.status === "online");
  const percentages = { cpuUsage: 1, memoryUsage: 2, diskUsage: 3 };
  await agent.send("agent.metrics", { ...t.node, ...percentages });
  await t.until(() => page.last("samples")?.samples[0]?.cpu === 1);
  page.ask({ type: "run", task: "shell.exec", payload: { command: "date" } });
  await t.until(() => page.last("task")?.title === "date");
  const { id = "" } = page.last("task") ?? {};
  page.ask({ type: "follow", id });
  // Also that there is none is told: the page has to know it from a log that has not come yet.
  await t.until(() => page.last("logs")?.id === id);
  assert.deepEqual(page.last("logs"), { type: "logs", id, from: 0, entries: [] });
  page.ask({ type: "cancel", id });
  await t.until(() => page.last("task")?.status === "cancelled");
  await agent.send("agent.dance");
  await t.until(() => page.last("violations")?.count === 1);
  page.ask({ type: "open", cols: 100, rows: 30 });
  await t.until(() => page.last("terminal")?.status === "starting");
  const { sessionId = "" } = page.last("terminal") ?? {};
  page.type(sessionId, "too early");
  await t.until(() => /takes no input/.test(page.last("problem")?.message ?? ""));
  await agent.send("terminal.opened", { sessionId });
  await agent.send("terminal.output", output(sessionId, "hello "));
  page.type(sessionId, "ä");
  await t.until(() => agent.got("terminal.input").length === 1);
  assert.equal(agent.got("terminal.input")[0]?.payload, new TextEncoder().encode("ä").toBase64());
  await agent.send("terminal.output", output(sessionId, "there"));
  await t.until(() => page.output.get(sessionId) === "hello there");
  page.ask({ type: "close", sessionId });
  await t.until(() => agent.got("terminal.stop").length === 1);
  await agent.send("terminal.exited", { sessionId, exitCode: 2 });
  await t.until(() => page.last("terminal")?.note === "exit code 2, closed by operator");
});

Deno.test("a page that comes back finds its terminal; one that stays away loses it", async () => {
  await using t = await setUpRealtime();
  await using server = serve(t);
  const agent = await t.agent();
  const terminal = t.cp.realtime.openTerminal({ cols: 80, rows: 24 });
  const { sessionId } = terminal;
  await agent.send("terminal.opened", { sessionId });
  await agent.send("terminal.output", output(sessionId, "before"));
  for (let visit = 0; visit < 2; visit++) {
    await using page = new TestPage(new URL(server.url));
    await t.until(() => page.output.get(sessionId) === "before");
    assert.deepEqual(page.last("terminal")?.sizes, [[0, 80, 24]]);
    if (visit === 1) t.cp.options.detachedMs = 50;
  }
  await terminal.waitFor(({ stopReason }) => stopReason === "controller-detached-timeout");
});
