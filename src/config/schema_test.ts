import assert from "node:assert/strict";
import project from "../../deno.json" with { type: "json" };
import { formatDuration } from "./kinds.ts";
import { CONFIG_KEYS, configSchema } from "./schema.ts";

/** What each given raw value is read as; undefined stands for refused. */
function check(property: string, table: readonly (readonly [unknown, unknown])[]): void {
  for (const [raw, expected] of table) {
    const parsed = configSchema.safeParse({ [property]: raw });
    const value = parsed.success
      ? Object.entries(parsed.data).find(([k]) => k === property)?.[1]
      : undefined;
    assert.deepEqual(value, expected, `${property}: ${JSON.stringify(raw)}`);
  }
}

Deno.test("the table names every key once and no environment variable twice", () => {
  const names = CONFIG_KEYS.flatMap((row) => row.env);
  assert.equal(CONFIG_KEYS.length, Object.keys(configSchema.shape).length);
  assert.equal(new Set(CONFIG_KEYS.map((row) => row.key)).size, CONFIG_KEYS.length);
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(
    CONFIG_KEYS.filter((row) => row.secret).map((row) => row.key),
    ["enrollment_token", "agent_token"],
  );
});

Deno.test("every key's default and its kind's example are valid, and every key has its sentence", () => {
  const defaults: Record<string, unknown> = configSchema.parse({});
  for (const { key, property, schema, fallback, example, doc } of CONFIG_KEYS) {
    assert.equal(property in defaults, fallback !== undefined, key);
    assert.equal(schema.safeParse(example).success, true, `${key}: ${example}`);
    assert.match(doc, /^[A-Z].*\.$/, key);
  }
});

Deno.test("every environment variable of the table is one that the agent may read", () => {
  const { allow } = project.permissions.agent.env;
  const isAllowed = (name: string) =>
    allow.some((one) => one.endsWith("*") ? name.startsWith(one.slice(0, -1)) : one === name);
  assert.deepEqual(CONFIG_KEYS.flatMap((row) => row.env).filter((name) => !isAllowed(name)), []);
});

Deno.test("the API URL is normalised", () => {
  check("apiUrl", [
    ["https://host", "https://host"],
    ["host.example.com", "https://host.example.com"],
    ["localhost:3000", "https://localhost:3000"],
    ["10.0.0.1:3000/", "https://10.0.0.1:3000"],
    ["[::1]:3000", "https://[::1]:3000"],
    ["http://127.0.0.1:3000/api/v1", "http://127.0.0.1:3000"],
    ["http://host/api/v1/", "http://host"],
    ["https://host/v1", "https://host"],
    ["https://host//api/v1//", "https://host"],
    ["https://host/base/api/v1", "https://host/base"],
    ["https://host/base/", "https://host/base"],
    ["https://host/api", "https://host/api"],
    ["https://host/xv1", "https://host/xv1"],
    [" HTTPS://Host:443/ \n", "https://host"],
    ["https.example.com", "https://https.example.com"],
    ["http.example.com:3000", "https://http.example.com:3000"],
    ["http:/host", undefined],
    ["https:/nod.example.com", undefined],
    ["HTTP:host", undefined],
    ["http:8080", undefined],
    ["https:", undefined],
    ["http:/https://host", undefined],
    ["ftp://host", undefined],
    ["https://", undefined],
    ["https://me:secret@host", undefined],
    ["https://host/?a=1", undefined],
    ["https://host/#a", undefined],
    ["ho st", undefined],
    [7, undefined],
  ]);
});

Deno.test("durations are bounded and need a unit", () => {
  for (const property of ["heartbeatIntervalMs", "realtimePingIntervalMs"]) {
    check(property, [
      ["100ms", 100],
      [" 1h2m3s ", 3_723_000],
      ["24h", 86_400_000],
      ["99ms", undefined],
      ["24h1ns", undefined],
      ["0", undefined],
      ["-1s", undefined],
      ["30", undefined],
      [30, undefined],
      [null, undefined],
      ["", undefined],
    ]);
  }
  check("taskTimeoutMs", [["1ms", 1], ["999µs", undefined], ["25h", undefined]]);
});

Deno.test("a location is words, and degrees within the globe", () => {
  check("locationDetection", [["Cloud ", "cloud"], ["off", "off"], ["ipinfo", undefined]]);
  check("locationManualRegion", [
    [" Zürich, 1. OG ", "Zürich, 1. OG"],
    ["x".repeat(120), "x".repeat(120)],
    ["x".repeat(121), undefined],
    ["a\nb", undefined],
    ["\ud800", undefined],
    ["", undefined],
    [1, undefined],
  ]);
  check("locationManualLatitude", [[-90, -90], ["-33.87", -33.87], [90.1, undefined]]);
  check("locationManualLongitude", [[180, 180], ["-180", -180], ["west", undefined]]);
});

Deno.test("booleans and numbers are read from JSON and from text", () => {
  check("realtimeEnabled", [
    [true, true],
    [false, false],
    ["true", true],
    ["False", false],
    [" 1 ", true],
    ["0", false],
    ["off", false],
    ["maybe", undefined],
    [1, undefined],
    [null, undefined],
  ]);
  check("realtimeQueueSize", [
    [1, 1],
    ["2048", 2048],
    [0, undefined],
    [1.5, undefined],
    ["1.5", undefined],
    ["-1", undefined],
    ["1e3", undefined],
    ["0x10", undefined],
    [1_000_001, undefined],
    [true, undefined],
  ]);
  check("realtimeBackoffJitter", [
    [0, 0],
    ["0.5", 0.5],
    [1, 1],
    [1.01, undefined],
    ["NaN", undefined],
    ["", undefined],
  ]);
});

Deno.test("texts are read by their rules", () => {
  check("logLevel", [
    ["debug", "debug"],
    ["WARNING", "warn"],
    [" Warn", "warn"],
    ["error", "error"],
    ["trace", undefined],
    [3, undefined],
  ]);
  check("agentToken", [
    ["abc.DEF-1~", "abc.DEF-1~"],
    [" abc\n", "abc"],
    ["a b", undefined],
    [
      "a\r\nx: y",
      undefined,
    ],
    ["é", undefined],
    [5, undefined],
  ]);
  check("realtimeNamespace", [["/x", "/x"], ["x", undefined], ["/a b", undefined], [
    "/a?b",
    undefined,
  ]]);
  check("metricsListen", [
    ["127.0.0.1:9464", "127.0.0.1:9464"],
    [" LocalHost:0 ", "localhost:0"],
    ["127.1.2.3:65535", "127.1.2.3:65535"],
    ["[::1]:80", "[::1]:80"],
    ["0.0.0.0:9464", undefined],
    ["[::]:9464", undefined],
    ["127.0.0.1", undefined],
    [":9464", undefined],
    ["127.0.0.256:1", undefined],
    ["127.0.0.1:65536", undefined],
    ["127.0.0.1:1/x", undefined],
    ["localhost.example.com:1", undefined],
    [9464, undefined],
  ]);
  check("stateFile", [["/var/lib/with space/x.json", "/var/lib/with space/x.json"], [
    "a\0b",
    undefined,
  ]]);
});

Deno.test("default durations are written the way they are shown", () => {
  const defaults: Record<string, unknown> = configSchema.parse({});
  for (const { property, fallback } of CONFIG_KEYS.filter((row) => row.property.endsWith("Ms"))) {
    const value = defaults[property];
    assert.equal(typeof value === "number" ? formatDuration(value) : value, fallback);
  }
});
