import assert from "node:assert/strict";
import { dirname, join } from "@std/path";
import { UserError } from "../system/user_error.ts";
import { loadConfig } from "./load.ts";
import { CONFIG_SEARCH_PATH } from "./locate.ts";
import { CONFIG_KEYS, configSchema } from "./schema.ts";

/** The search path without the folders of the machine the tests run on. */
const SEARCH_PATH = ["config.local.json", "config.json", "config/config.json", "etc/config.json"];

class Folder implements AsyncDisposable {
  readonly env: Record<string, string> = {};
  private constructor(readonly path: string) {}

  static async make(): Promise<Folder> {
    return new Folder(await Deno.makeTempDir({ prefix: "config_" }));
  }

  async write(name: string, content: unknown): Promise<string> {
    const path = join(this.path, name);
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(path, typeof content === "string" ? content : JSON.stringify(content));
    return path;
  }

  load() {
    const env = new Map(Object.entries(this.env));
    return loadConfig({ cwd: this.path, searchPath: SEARCH_PATH, env: (name) => env.get(name) });
  }

  /** The sentences of the refusal. */
  async refusal(): Promise<string[]> {
    const error = await this.load().then(() => assert.fail("it was loaded"), (error) => error);
    assert(error instanceof UserError, String(error));
    return error.message.split("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

Deno.test("without a file the defaults hold, and config.json is to be made", async () => {
  await using folder = await Folder.make();
  const loaded = await folder.load();
  assert.deepEqual(loaded.config, configSchema.parse({}));
  assert.equal(loaded.path, join(folder.path, "config.json"));
  assert.equal(loaded.exists, false);
  assert.deepEqual(
    loaded.sources,
    Object.fromEntries(CONFIG_KEYS.map(({ key }) => [key, "default"])),
  );
  assert.deepEqual(loaded.warnings, []);
});

Deno.test("the files are looked for in their order", async () => {
  assert.deepEqual(CONFIG_SEARCH_PATH, [
    ...SEARCH_PATH.slice(0, 3),
    "/usr/local/etc/noderax-agent/config.json",
    "/etc/noderax-agent/config.json",
  ]);
  await using folder = await Folder.make();
  for (const name of SEARCH_PATH.toReversed()) {
    const path = await folder.write(name, { node_id: name });
    const loaded = await folder.load();
    assert.equal(loaded.path, path);
    assert.equal(loaded.exists, true);
    assert.equal(loaded.config.nodeId, name);
    assert.deepEqual(loaded.sources.node_id, { file: path });
  }
});

const root = Deno.uid() === 0;
Deno.test({
  name: "for root the service's own comes first, and what others can write is passed over" +
    (root ? "" : " (ignored: only root can give files away)"),
  ignore: !root,
  fn: async () => {
    await using folder = await Folder.make();
    const load = (installed: string) =>
      loadConfig({ cwd: folder.path, searchPath: SEARCH_PATH, installed, env: () => undefined });
    const [local, plain, service] = [
      await folder.write("config.local.json", { node_id: "local" }),
      await folder.write("config.json", { node_id: "plain" }),
      await folder.write("service.json", { node_id: "service" }),
    ];
    assert.equal((await load(service)).config.nodeId, "service");
    assert.equal((await load("none.json")).config.nodeId, "local");
    await Deno.chmod(local, 0o664);
    const { config, passedOver } = await load("none.json");
    assert.equal(config.nodeId, "plain");
    assert.deepEqual(passedOver, [
      `${local} is ignored, because ${local} can be written by others than its owner (mode ` +
      "0664): root trusts only root's files.",
    ]);
    // A link leads out of root's hands as well as a folder does.
    const away = await folder.write("away/real.json", { node_id: "away" });
    await Deno.chown(dirname(away), 12_345, 12_345);
    await Deno.remove(plain);
    await Deno.symlink("away/real.json", plain);
    assert.equal((await load("none.json")).exists, false);
    await Deno.chown(dirname(away), 0, 0);
    assert.equal((await load("none.json")).config.nodeId, "away");
  },
});

Deno.test("a file in the place of a folder of the search path is no file found", async () => {
  await using folder = await Folder.make();
  await folder.write("config", "a file");
  assert.equal((await folder.load()).exists, false);
});

Deno.test("NODERAX_CONFIG_FILE is the only file read, even if it is missing", async () => {
  await using folder = await Folder.make();
  await folder.write("config.json", { node_id: "elsewhere" });
  folder.env.NODERAX_CONFIG_FILE = "sub/mine.json";
  const missing = await folder.load();
  assert.equal(missing.path, join(folder.path, "sub/mine.json"));
  assert.equal(missing.exists, false);
  assert.equal(missing.config.nodeId, undefined);

  const path = await folder.write("sub/mine.json", { node_id: "mine" });
  assert.equal((await folder.load()).config.nodeId, "mine");
  folder.env.NODERAX_CONFIG_FILE = path;
  assert.equal((await folder.load()).config.nodeId, "mine");
  folder.env.NODERAX_CONFIG_FILE = "";
  assert.equal((await folder.load()).config.nodeId, "elsewhere");
});

Deno.test("environment goes over file over default", async () => {
  await using folder = await Folder.make();
  const file = await folder.write("config.json", { log_level: "debug", task_timeout: "1m" });
  Object.assign(folder.env, { LOG_LEVEL: "error", REQUEST_TIMEOUT: "3s", TASK_TIMEOUT: "" });
  const { config, sources } = await folder.load();
  assert.equal(config.logLevel, "error");
  assert.deepEqual(sources.log_level, { env: "LOG_LEVEL" });
  assert.equal(config.requestTimeoutMs, 3_000);
  assert.equal(config.taskTimeoutMs, 60_000);
  assert.deepEqual(sources.task_timeout, { file });
  assert.equal(sources.heartbeat_interval, "default");
});

Deno.test("every environment variable is read, an earlier name over a later one", async () => {
  await using folder = await Folder.make();
  for (const { key, env, fallback, example } of CONFIG_KEYS) {
    for (const name of env.toReversed()) {
      folder.env[name] = String(fallback ?? example);
      assert.deepEqual((await folder.load()).sources[key], { env: name });
    }
  }
});

Deno.test("only names of the table and NODERAX_CONFIG_FILE are asked of the environment", async () => {
  await using folder = await Folder.make();
  const asked = new Set<string>();
  const env = (name: string) => {
    asked.add(name);
    return undefined;
  };
  await loadConfig({ env, cwd: folder.path, searchPath: [] });
  const known = ["NODERAX_CONFIG_FILE", ...CONFIG_KEYS.flatMap((row) => row.env)];
  assert.deepEqual([...asked].toSorted(), known.toSorted());
});

Deno.test("null and empty text leave optional keys unset", async () => {
  await using folder = await Folder.make();
  await folder.write("config.json", { api_url: "", node_id: null, agent_token: " " });
  const { config, sources } = await folder.load();
  assert.deepEqual(config, configSchema.parse({}));
  assert.equal(sources.node_id, "default");
});

Deno.test("unknown keys are told in one warning", async () => {
  await using folder = await Folder.make();
  const path = await folder.write("config.json", { colour: 1, node_id: "n", toString: {} });
  const { unknownKeys, warnings } = await folder.load();
  assert.deepEqual(unknownKeys, ["colour", "toString"]);
  assert.deepEqual(warnings, [`${path} has unknown keys, which are ignored: colour, toString.`]);
});

Deno.test("a byte order mark does no harm", async () => {
  await using folder = await Folder.make();
  await folder.write("config.json", '\uFEFF{"node_id": "n"}');
  assert.equal((await folder.load()).config.nodeId, "n");
});

Deno.test("config.example.json is a configuration: the defaults and an address", async () => {
  await using folder = await Folder.make();
  const example = new URL("../../config.example.json", import.meta.url);
  await folder.write("config.json", await Deno.readTextFile(example));
  const { config, unknownKeys } = await folder.load();
  assert.deepEqual(unknownKeys, []);
  assert.deepEqual(config, {
    ...configSchema.parse({}),
    apiUrl: "https://control-plane.example.com",
  });
});

Deno.test("a file that cannot be used is named, and what to do", async () => {
  await using folder = await Folder.make();
  const path = await folder.write("config.json", '{\n  "agent_token": "s3cret" "x": 1\n}');
  assert.deepEqual(await folder.refusal(), [
    `${path} is not valid JSON: correct it at line 2, column 27.`,
  ]);
  for (const content of ["[]", "null", '"text"', "7"]) {
    await folder.write("config.json", content);
    assert.deepEqual(await folder.refusal(), [
      `${path} holds no JSON object: write one into it, such as {"api_url":"https://host"}.`,
    ]);
  }
  await Deno.remove(path);
  await Deno.mkdir(path);
  assert.deepEqual(await folder.refusal(), [
    `${path} cannot be read (it is a folder): name a file.`,
  ]);
  await Deno.remove(path);
  await Deno.symlink("config.json", path);
  assert.match(
    (await folder.refusal()).join(),
    /config\.json cannot be read \(.*symbolic links.*\)\.$/,
  );
});

Deno.test("every bad value is told in a sentence of its own", async () => {
  await using folder = await Folder.make();
  const path = await folder.write("config.json", {
    api_url: "https://me:pass/w@rd@host",
    heartbeat_interval: 30,
    task_poll_interval: null,
    realtime_queue_size: "many",
    log_level: { level: "x".repeat(200) },
    agent_token: "two words",
  });
  Object.assign(folder.env, { REALTIME_ENABLED: "perhaps", ENROLLMENT_TOKEN: "t o k e n" });
  const duration = 'a duration from 100ms to 24h with its unit, such as "30s"';
  const visible = "text of visible ASCII characters without spaces";
  assert.deepEqual(await folder.refusal(), [
    `api_url is "https://***@host" in ${path}, but must be an http or https URL without user name, query and fragment, such as "https://host:3000".`,
    `enrollment_token is "***" in the environment variable ENROLLMENT_TOKEN, but must be ${visible}.`,
    `agent_token is "***" in ${path}, but must be ${visible}.`,
    `heartbeat_interval is 30 in ${path}, but must be ${duration}.`,
    `task_poll_interval is null in ${path}, but must be ${duration}.`,
    `realtime_enabled is "perhaps" in the environment variable REALTIME_ENABLED, but must be true or false.`,
    `realtime_queue_size is "many" in ${path}, but must be a whole number from 1 to 1000000.`,
    `log_level is {"level":"${
      "x".repeat(90)
    }… in ${path}, but must be one of debug, info, warn, error.`,
  ]);
});

/** Every key that any release of the agent in Go has written, in its form. */
const GO_CONFIG = {
  api_url: "https://api.example.com",
  api_tls_ca_file: "/etc/ssl/ca.pem",
  enrollment_token: "",
  node_id: "5e3e7692-8904-446d-9b8b-acaf2bba3c16",
  agent_token: "agent-token",
  heartbeat_interval: "30s",
  metrics_interval: "1m0s",
  task_poll_interval: "15s",
  request_timeout: "10s",
  task_timeout: "10m0s",
  shutdown_timeout: "20s",
  realtime_enabled: true,
  realtime_ping_interval: "2s",
  realtime_queue_size: 512,
  realtime_backoff_jitter: 0.2,
  realtime_namespace: "/agent-realtime",
  realtime_path: "/socket.io/",
  location_manual_region: "Home Lab",
  location_manual_zone: "Rack 1",
  location_manual_latitude: 41.0082,
  location_manual_longitude: 28.9784,
  state_file: "/var/lib/noderax-agent/agent_identity.json",
  log_level: "info",
};
const WITHOUT_EFFECT = {
  location_public_ip_enabled: true,
  ipinfo_token: "secret-123",
  realtime_backoff_min: "500ms",
  realtime_backoff_max: "15s",
  realtime_connect_timeout: "10s",
};

Deno.test("every key of the agent in Go is read, or named without its value", async () => {
  await using folder = await Folder.make();
  const path = await folder.write("config.json", { ...GO_CONFIG, ...WITHOUT_EFFECT });
  const { config, sources, unknownKeys, warnings } = await folder.load();
  for (const [key, value] of Object.entries(GO_CONFIG)) {
    if (value !== "") assert.deepEqual(sources[key], { file: path }, key);
  }
  assert.equal(config.metricsIntervalMs, 60_000);
  assert.equal(config.taskTimeoutMs, 600_000);
  assert.deepEqual(unknownKeys, Object.keys(WITHOUT_EFFECT));
  assert.equal(warnings.length, 1);
  for (const key of unknownKeys) assert.ok(warnings[0]?.includes(`${key} (`), key);
  assert.ok(!warnings.join().includes("secret-123"));
});

Deno.test("every variable of the agent in Go is read", () => {
  const names = new Set(CONFIG_KEYS.flatMap(({ env }) => env));
  const plain = [
    ...["API_URL", "API_TLS_CA_FILE", "REALTIME_NAMESPACE", "REALTIME_PATH"],
    ...["LOCATION_MANUAL_REGION", "LOCATION_MANUAL_ZONE", "LOCATION_MANUAL_LATITUDE"],
    ...["LOCATION_MANUAL_LONGITUDE", "REALTIME_PING_INTERVAL"],
  ];
  const own = [
    ...["ENROLLMENT_TOKEN", "NODE_ID", "AGENT_TOKEN", "STATE_FILE", "LOG_LEVEL"],
    ...["REALTIME_ENABLED", "HEARTBEAT_INTERVAL", "METRICS_INTERVAL", "TASK_POLL_INTERVAL"],
    ...["REQUEST_TIMEOUT", "TASK_TIMEOUT", "SHUTDOWN_TIMEOUT", "REALTIME_QUEUE_SIZE"],
    ...["REALTIME_BACKOFF_JITTER", "NODERAX_REALTIME_METRICS_INTERVAL"],
  ];
  const all = [...plain, ...plain.map((name) => `NODERAX_${name}`), ...own];
  assert.deepEqual(all.filter((name) => !names.has(name)), []);
});
