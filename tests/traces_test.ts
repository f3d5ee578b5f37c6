import assert from "node:assert/strict";
import * as z from "@zod/zod";
import { Fleet } from "./_agent.ts";
import { FROM_SOURCE } from "./_command.ts";
import { eventually } from "./_processes.ts";

const Span = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string(),
  name: z.string(),
  startTimeUnixNano: z.string(),
  endTimeUnixNano: z.string(),
  attributes: z.array(z.object({
    key: z.string(),
    value: z.object({ stringValue: z.string().optional() }),
  })),
});
type Span = z.infer<typeof Span>;
const Export = z.object({
  resourceSpans: z.array(z.object({ scopeSpans: z.array(z.object({ spans: z.array(Span) })) })),
});

/** What a release's launcher sets besides. */
const AS_THE_LAUNCHER = {
  OTEL_DENO_CONSOLE: "ignore",
  OTEL_DENO_METRICS: "false",
  OTEL_TRACES_SAMPLER: "parentbased_always_on",
};

/** A collector of OpenTelemetry's, as small as can be. */
class Collector implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #silent: boolean;
  readonly #over = Promise.withResolvers<void>();
  /** What was exported, as it came. */
  readonly bodies: { path: string; text: string }[] = [];

  /** One that is silent takes what comes and never answers. */
  constructor({ silent = false } = {}) {
    this.#silent = silent;
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => this.#answer(request));
  }

  /** The variables of an agent that exports to it. */
  get env(): Record<string, string> {
    return {
      OTEL_DENO: "true",
      ...FROM_SOURCE ? AS_THE_LAUNCHER : {},
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=collector-secret",
      // Only what the agent's end flushes, unless a test says otherwise.
      OTEL_BSP_SCHEDULE_DELAY: "600000",
    };
  }

  get spans(): Span[] {
    return this.bodies.flatMap(({ text }) => Export.parse(JSON.parse(text)).resourceSpans)
      .flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ spans }) => spans);
  }

  async #answer(request: Request): Promise<Response> {
    this.bodies.push({ path: new URL(request.url).pathname, text: await request.text() });
    if (this.#silent) await this.#over.promise;
    return Response.json({});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.resolve();
    await this.#server.shutdown();
  }
}

const attribute = ({ attributes }: Span, key: string) =>
  attributes.find((one) => one.key === key)?.value.stringValue;

Deno.test("each task is one trace, which is exported at the latest when the agent stops", async () => {
  await using collector = new Collector();
  await using fleet = await Fleet.start({ realtime_enabled: true });
  await using agent = await fleet.agent(collector.env);
  const good = fleet.shell("echo printed-secret; env");
  const bad = fleet.shell("sleep 0.2; exit 3");
  await Promise.all([fleet.ended(good), fleet.ended(bad)]);
  assert(!fleet.lines(good).some((line) => line.startsWith("OTEL_")));
  assert.deepEqual(collector.bodies, []);
  assert.equal((await agent.stop()).code, 0);

  const { spans } = collector;
  const roots = spans.filter(({ name }) => name.startsWith("task "));
  assert.equal(new Set(spans.map(({ traceId }) => traceId)).size, 2, "nothing but tasks is traced");
  for (const [taskId, status] of [[good, "success"], [bad, "failed"]] as const) {
    const root = roots.find((span) => attribute(span, "noderax.task.id") === taskId);
    assert(root);
    assert.equal(root.name, "task shell.exec");
    assert.equal(root.parentSpanId, "");
    assert.equal(attribute(root, "noderax.task.status"), status);
    const steps = spans.filter(({ parentSpanId }) => parentSpanId === root.spanId);
    const wanted = ["begin", "complete", "run", ...taskId === good ? ["upload"] : []];
    assert.deepEqual(
      steps.map(({ name }) => name).filter((name) => name !== "claim").sort(),
      wanted,
    );
    for (const { name, traceId, startTimeUnixNano, endTimeUnixNano } of steps) {
      assert.equal(traceId, root.traceId);
      assert(BigInt(startTimeUnixNano) >= BigInt(root.startTimeUnixNano), name);
      assert(BigInt(endTimeUnixNano) >= BigInt(startTimeUnixNano), name);
    }
    const run = steps.find(({ name }) => name === "run");
    const ranNs = BigInt(run?.endTimeUnixNano ?? 0) - BigInt(run?.startTimeUnixNano ?? 0);
    if (taskId === bad) assert(ranNs >= 200_000_000n, `${ranNs} ns`);
    const complete = steps.find(({ name }) => name === "complete");
    assert.equal(spans.filter((span) => span.parentSpanId === complete?.spanId).length, 1);
  }
  const text = collector.bodies.map(({ text }) => text).join();
  assert.deepEqual([...new Set(collector.bodies.map(({ path }) => path))], ["/v1/traces"]);
  for (const word of ["printed-secret", "exit 3", fleet.agentToken, "collector-secret"]) {
    assert(!text.includes(word), word);
  }
  assert.deepEqual(fleet.controlPlane.violations, []);
});

Deno.test("an agent that is being enrolled exports nothing of its token", async () => {
  await using collector = new Collector();
  await using fleet = await Fleet.start();
  const { controlPlane: cp } = fleet;
  const body = { email: "me@example.com", hostname: "host" };
  const answer = await fetch(`${cp.url}/api/v1/enrollments/initiate`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const { token } = z.object({ token: z.string() }).parse(await answer.json());
  await fleet.configure({ node_id: "", agent_token: "", enrollment_token: token });
  if (FROM_SOURCE) {
    const all = { OTEL_DENO: "1", OTEL_TRACES_SAMPLER: "always_on" };
    await using careless = fleet.spawnAgent({ ...collector.env, ...all });
    assert.equal((await careless.ended()).code, 1);
    assert.match(careless.otherOutput.join(), /OTEL_TRACES_SAMPLER=parentbased_always_on/);
  }
  const { agentToken } = cp.approve(token);
  await using agent = await fleet.agent(collector.env);
  await fleet.ended(fleet.shell("true"));
  assert.equal((await agent.stop()).code, 0);
  const text = collector.bodies.map(({ text }) => text).join();
  for (const secret of [token, agentToken]) assert(!text.includes(secret), text);
  assert(!collector.spans.some((span) => attribute(span, "url.full")?.includes("/enrollments/")));
});

Deno.test("a claim is a step of its task's trace", async () => {
  await using collector = new Collector();
  await using fleet = await Fleet.start();
  await using agent = await fleet.agent({ ...collector.env, OTEL_BSP_SCHEDULE_DELAY: "50" });
  await fleet.ended(fleet.shell("true"));
  const [claim] = await eventually("the claim", () => {
    const found = collector.spans.filter(({ name }) => name === "claim");
    return Promise.resolve(found.length > 0 ? found : undefined);
  });
  const root = await eventually("the task", () => {
    const found = collector.spans.find(({ spanId }) => spanId === claim?.parentSpanId);
    return Promise.resolve(found);
  });
  assert.equal(root.name, "task shell.exec");
  await agent.stop();
});

Deno.test("a collector that does not answer holds the agent's end for 2 s at most", async () => {
  await using collector = new Collector({ silent: true });
  await using fleet = await Fleet.start();
  await using agent = await fleet.agent(collector.env);
  await fleet.ended(fleet.shell("true"));
  agent.signal("SIGTERM");
  await agent.waitForLog("agent stopped");
  const stoppedMs = performance.now();
  assert.equal((await agent.ended()).code, 0);
  const tookMs = performance.now() - stoppedMs;
  // Deno itself would wait for 10 s.
  assert(tookMs < 7_000, `${tookMs} ms`);
  // The collector may read what has come by then only now.
  await eventually("the export", () => Promise.resolve(collector.bodies.length === 1));
});
