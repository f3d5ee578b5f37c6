import * as z from "@zod/zod";
import {
  apiUrl,
  duration,
  filePath,
  flag,
  fraction,
  headerText,
  type Kind,
  label,
  logLevel,
  loopbackAddress,
  memoryBound,
  oneOf,
  publicKeyText,
  releaseSource,
  size,
  urlPath,
  userName,
  whole,
} from "./kinds.ts";

/** What a configuration file may hold under one key. */
export type ConfigValue = string | number | boolean;

/** What is known of a key besides how its value is read. */
export interface KeyInfo {
  /** Its name in the configuration file. */
  readonly key: string;
  /** The environment variables that set it; an earlier one wins. */
  readonly env: readonly string[];
  /** What it means to the person who sets it, in a sentence. */
  readonly doc: string;
  /** Whether its value must never be shown. */
  readonly secret: boolean;
  /** The end of the sentence "it must be …". */
  readonly allowed: string;
  /** A value as somebody would type it. */
  readonly example: string;
  /** Its value when nobody sets it, as a file would hold it; none: it stays unset. */
  readonly fallback: ConfigValue | undefined;
  /** Whether a change waits for the next start: SIGHUP takes over all others. */
  readonly needsRestart: boolean;
}

type Words =
  & Pick<KeyInfo, "key" | "doc">
  & Partial<Pick<KeyInfo, "env" | "secret" | "needsRestart">>;

const infos = z.registry<KeyInfo>();

/** A key that stays unset unless somebody sets it. */
function optional<T>(kind: Kind<T>, words: Words): z.ZodOptional<z.ZodType<T>> {
  return kind.schema.optional().register(infos, infoOf(kind, undefined, words));
}

function key<T>(
  kind: Kind<T>,
  fallback: ConfigValue,
  words: Words,
): z.ZodPrefault<z.ZodType<T>> {
  // The fallback is read like anybody's value: it cannot break the rules either.
  return z.prefault(kind.schema, () => fallback).register(infos, infoOf(kind, fallback, words));
}

function infoOf(
  { allowed, example }: Kind<unknown>,
  fallback: ConfigValue | undefined,
  words: Words,
): KeyInfo {
  // Older variables have names of their own, each with a line in deno.json's permissions.
  const env = [`NODERAX_${words.key.toUpperCase()}`];
  return { env, secret: false, needsRestart: false, ...words, allowed, example, fallback };
}

const interval = duration(100);
const timeout = duration(1);
/** A claim that waits for its turn looks like one that is stuck, so no wait for it is long. */
const MAX_SPREAD_MS = 10 * 60_000;

/**
 * The one table of what can be configured. Names, environment variables, defaults, ranges, types,
 * the sentences about bad values, and which keys a reload takes over, all come from it; so do
 * docs/configuration.md and config.example.json, which `deno task generate` writes.
 */
export const configSchema = z.object({
  apiUrl: optional(apiUrl, {
    key: "api_url",
    needsRestart: true,
    env: ["NODERAX_API_URL", "API_URL"],
    doc:
      "The control plane's address; https unless it says http. A trailing /, /api/v1 or /v1 is dropped.",
  }),
  webUrl: optional(apiUrl, {
    key: "web_url",
    env: ["NODERAX_WEB_URL"],
    doc: "The address of the Noderax web app, told to whoever is to approve this machine there.",
  }),
  apiTlsCaFile: optional(filePath, {
    key: "api_tls_ca_file",
    needsRestart: true,
    env: ["NODERAX_API_TLS_CA_FILE", "API_TLS_CA_FILE"],
    doc: "A PEM file of certificate authorities to trust besides the usual ones.",
  }),
  enrollmentToken: optional(headerText, {
    key: "enrollment_token",
    env: ["ENROLLMENT_TOKEN"],
    secret: true,
    doc: "The token of an enrollment that is not finished yet; enroll writes and removes it.",
  }),
  nodeId: optional(headerText, {
    key: "node_id",
    needsRestart: true,
    env: ["NODE_ID"],
    doc:
      "The id that the control plane gave this machine. With agent_token, it wins over the identity file.",
  }),
  agentToken: optional(headerText, {
    key: "agent_token",
    needsRestart: true,
    env: ["AGENT_TOKEN"],
    secret: true,
    doc: "The token that proves to the control plane which machine this is.",
  }),
  heartbeatIntervalMs: key(interval, "30s", {
    key: "heartbeat_interval",
    env: ["HEARTBEAT_INTERVAL"],
    doc: "The time between heartbeats; after 90s without one the node may be shown offline.",
  }),
  metricsIntervalMs: key(interval, "2s", {
    key: "metrics_interval",
    env: ["NODERAX_REALTIME_METRICS_INTERVAL", "METRICS_INTERVAL", "REALTIME_METRICS_INTERVAL"],
    doc: "The time between metrics snapshots.",
  }),
  taskPollIntervalMs: key(interval, "15s", {
    key: "task_poll_interval",
    env: ["TASK_POLL_INTERVAL"],
    doc: "How long one request for a task waits at the control plane, 30s at most.",
  }),
  requestTimeoutMs: key(timeout, "10s", {
    key: "request_timeout",
    env: ["REQUEST_TIMEOUT"],
    doc: "How long the answer to a request may take; the time that a claim waits is added.",
  }),
  reconnectSpreadMs: key(duration(0, MAX_SPREAD_MS), "20s", {
    key: "reconnect_spread",
    doc:
      "When the realtime session or the control plane was lost, an agent that nobody uses draws the moment of its next try from so long a time; 0s is best for one machine, 60s for tens of thousands.",
  }),
  taskTimeoutMs: key(timeout, "10m", {
    key: "task_timeout",
    env: ["TASK_TIMEOUT"],
    doc: "How long a task may run that sets no limit itself.",
  }),
  maxTasks: key(whole(0, 10_000), 64, {
    key: "max_tasks",
    env: ["NODERAX_MAX_TASKS", "MAX_TASKS"],
    doc: "How many tasks may be unfinished before no further one is claimed; 0 for no limit.",
  }),
  taskIsolation: key(oneOf("auto", "unit", "child"), "auto", {
    key: "task_isolation",
    needsRestart: true,
    doc:
      'Where tasks and terminals run: each in a unit of systemd\'s where systemd runs the machine and the agent as root, else as children of the agent ("auto"); in units or not at all ("unit"); or as children ("child"). After a change to or from "child" `sudo noderax-agent install` makes the agent\'s own unit fit, which is locked down unless tasks are its children.',
  }),
  taskPidsMax: key(whole(1, 4_000_000), 4096, {
    key: "task_pids_max",
    doc: "How many processes and threads a task in a unit may have; one that wants more is ended.",
  }),
  taskMemoryMax: key(memoryBound, "80%", {
    key: "task_memory_max",
    doc: "How much memory a task in a unit may take; one that needs more is ended.",
  }),
  taskCpuWeight: key(whole(1, 10_000), 100, {
    key: "task_cpu_weight",
    doc:
      "The share of the processors that a task in a unit gets where they are short; 100 is usual.",
  }),
  logMemoryLimitBytes: key(size(2 ** 20, 2 ** 40), "64MiB", {
    key: "log_memory_limit",
    env: ["NODERAX_LOG_MEMORY_LIMIT", "LOG_MEMORY_LIMIT"],
    doc: "How much memory the undelivered output of all tasks may take; the rest waits on disk.",
  }),
  shutdownTimeoutMs: key(timeout, "20s", {
    key: "shutdown_timeout",
    env: ["SHUTDOWN_TIMEOUT"],
    doc: "How long running tasks may take to finish when the agent is stopped.",
  }),
  realtimeEnabled: key(flag, true, {
    key: "realtime_enabled",
    needsRestart: true,
    env: ["NODERAX_REALTIME_ENABLED", "REALTIME_ENABLED"],
    doc: "Whether metrics and terminals are served over a realtime connection.",
  }),
  realtimePingIntervalMs: key(interval, "2s", {
    key: "realtime_ping_interval",
    env: ["NODERAX_REALTIME_PING_INTERVAL", "REALTIME_PING_INTERVAL"],
    doc: "The time between realtime pings; the control plane drops a connection after 45s.",
  }),
  realtimeQueueSize: key(whole(1, 1_000_000), 1024, {
    key: "realtime_queue_size",
    env: ["NODERAX_REALTIME_QUEUE_SIZE", "REALTIME_QUEUE_SIZE"],
    doc: "How many realtime events may wait for a connection.",
  }),
  realtimeBackoffJitter: key(fraction(0, 1), 0.2, {
    key: "realtime_backoff_jitter",
    env: ["NODERAX_REALTIME_BACKOFF_JITTER", "REALTIME_BACKOFF_JITTER"],
    doc: "The part of the pause before the next connection that is left to chance: 0 none, 1 all.",
  }),
  realtimeNamespace: key(urlPath, "/agent-realtime", {
    key: "realtime_namespace",
    env: ["NODERAX_REALTIME_NAMESPACE", "REALTIME_NAMESPACE"],
    doc: "The Socket.IO namespace of the agents.",
  }),
  realtimePath: key(urlPath, "/socket.io/", {
    key: "realtime_path",
    env: ["NODERAX_REALTIME_PATH", "REALTIME_PATH"],
    doc: "The path of the control plane's Socket.IO server.",
  }),
  runAsUser: optional(userName, {
    key: "run_as_user",
    needsRestart: true,
    env: ["NODERAX_RUN_AS_USER", "RUN_AS_USER"],
    doc:
      "The user that tasks and terminals run as when the agent is root; the agent's own if unset.",
  }),
  metricsListen: optional(loopbackAddress, {
    key: "metrics_listen",
    needsRestart: true,
    env: ["NODERAX_METRICS_LISTEN", "METRICS_LISTEN"],
    doc:
      "Where Prometheus metrics, /healthz and /readyz are served on this machine; off if unset. Port 0 is any free one, which the log names.",
  }),
  locationDetection: key(oneOf("off", "cloud"), "off", {
    key: "location_detection",
    needsRestart: true,
    env: ["NODERAX_LOCATION_DETECTION", "LOCATION_DETECTION"],
    doc: 'Whether the location is taken from the metadata of AWS, GCP or Azure ("cloud").',
  }),
  locationManualRegion: optional(label, {
    key: "location_manual_region",
    needsRestart: true,
    env: ["NODERAX_LOCATION_MANUAL_REGION", "LOCATION_MANUAL_REGION"],
    doc: "The region where this machine is shown; it comes before location_detection.",
  }),
  locationManualZone: optional(label, {
    key: "location_manual_zone",
    needsRestart: true,
    env: ["NODERAX_LOCATION_MANUAL_ZONE", "LOCATION_MANUAL_ZONE"],
    doc: "The zone within location_manual_region.",
  }),
  locationManualLatitude: optional(fraction(-90, 90), {
    key: "location_manual_latitude",
    needsRestart: true,
    env: ["NODERAX_LOCATION_MANUAL_LATITUDE", "LOCATION_MANUAL_LATITUDE"],
    doc: "The latitude in degrees, used together with location_manual_longitude.",
  }),
  locationManualLongitude: optional(fraction(-180, 180), {
    key: "location_manual_longitude",
    needsRestart: true,
    env: ["NODERAX_LOCATION_MANUAL_LONGITUDE", "LOCATION_MANUAL_LONGITUDE"],
    doc: "The longitude in degrees, used together with location_manual_latitude.",
  }),
  stateFile: key(filePath, "./data/agent_identity.json", {
    key: "state_file",
    needsRestart: true,
    env: ["STATE_FILE"],
    doc: "The identity file, relative to the working directory. Its folder is the state folder.",
  }),
  updateSource: optional(releaseSource, {
    key: "update_source",
    env: [],
    doc: "Where updates from the console come from; without it the agent is upgraded on the node.",
  }),
  updatePublicKey: optional(publicKeyText, {
    key: "update_public_key",
    env: [],
    doc: "Whose signature makes a release of update_source trusted; several keys may.",
  }),
  logLevel: key(logLevel, "info", {
    key: "log_level",
    env: ["LOG_LEVEL"],
    doc: "How much is logged: events of this level and of those that follow it in the list.",
  }),
});

/** The agent's configuration: durations in milliseconds, the rest as it reads. */
export type Config = z.output<typeof configSchema>;

/** A row of the table: what is known of a key, and where {@linkcode Config} has it. */
export interface ConfigKey extends KeyInfo {
  /** The name of its property in {@linkcode Config}. */
  readonly property: keyof Config;
  /** Reads its value, be it JSON or text. */
  readonly schema: z.ZodType;
}

/** The table's rows in its order. */
export const CONFIG_KEYS: readonly ConfigKey[] = configSchema.keyof().options
  .flatMap((property) => {
    const schema = configSchema.shape[property];
    const info = infos.get(schema);
    return info === undefined ? [] : [{ property, schema, ...info }];
  });
