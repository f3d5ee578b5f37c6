import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { loadConfig, type LoadedConfig, type ReadEnv } from "../config/mod.ts";
import type { Credentials } from "../control_plane/agent_api.ts";
import { connect } from "../control_plane/connect.ts";
import type { HttpTransport } from "../control_plane/http.ts";
import { knownIdentity } from "../identity/known_identity.ts";
import { type Accounts, lookUpAccounts } from "../privileges/accounts.ts";
import { type Launches, readLaunches } from "../privileges/privileges.ts";
import { type Holder, lockHolder } from "../system/kernel_locks.ts";
import { Logger } from "../system/logger.ts";
import { type RunTool, toolRunner } from "../system/tool.ts";
import { type Answer, askApi } from "../control_plane/api_answer.ts";
import { type Proxy, proxyFor } from "./proxy.ts";

/** The way to the control plane. */
export interface Route {
  /** Where it leads. */
  url: URL;
  /** The proxy that it takes. */
  proxy: Proxy | undefined;
  /** The host that is dialled: the proxy's, or the control plane's own. */
  host: string;
  /** The port there. */
  port: number;
}

/** What checks look at. What several need is learnt once, and throws whenever it cannot be had. */
export interface CheckContext {
  /** Reads the environment. */
  env: ReadEnv;
  /** Runs a tool of the machine. */
  run: RunTool;
  /** Who holds the lock on a file. */
  lockHolder(path: string): Holder | undefined;
  /** The configuration. */
  loaded(): Promise<LoadedConfig>;
  /** Who this node is; undefined if it is not enrolled. */
  identity(): Promise<Credentials | undefined>;
  /** How the control plane is reached. */
  route(): Promise<Route>;
  /** The addresses of the host that is dialled. */
  addresses(): Promise<string[]>;
  /** The agent's own network. */
  transport(): Promise<HttpTransport>;
  /** What answers where the API should be. */
  answer(): Promise<Answer>;
  /** The agent's user and the one of `run_as_user`. */
  accounts(): Promise<Accounts>;
  /** Who runs tasks and terminals. */
  launches(): Promise<Launches>;
}

/** How long what a check asks may take, in milliseconds: less than a check has. */
const QUESTION_LIMIT_MS = 4_500;

/** This machine, with the configuration that the agent would find; `signal` ends what looks at it. */
export function thisMachine(env: ReadEnv, signal?: AbortSignal): CheckContext {
  const limits = { limitMs: QUESTION_LIMIT_MS, ...(signal ? { signal } : {}) };
  const run = toolRunner(limits);
  const loaded = once(() => loadConfig({ env }));
  const config = async () => (await loaded()).config;
  const route = once(async () => routeTo(new URL((await config()).apiUrl ?? ""), env));
  const transport = once(async () => await connect(await loaded()));
  const accounts = once(async () => await lookUpAccounts((await config()).runAsUser, limits));
  const silent = new Logger({ write: () => {} });
  return {
    env,
    run,
    lockHolder,
    loaded,
    route,
    transport,
    accounts,
    identity: once(async () => await knownIdentity(await loaded())),
    addresses: once(async () => {
      const { host } = await route();
      if (isIP(host)) return [host];
      return (await lookup(host, { all: true })).map(({ address }) => address);
    }),
    answer: once(async () => await askApi(await transport())),
    launches: once(async () => await readLaunches((await config()).runAsUser, silent, accounts)),
  };
}

function routeTo(url: URL, env: ReadEnv): Route {
  const proxy = proxyFor(url, env);
  const { protocol, hostname, port } = proxy?.url ?? url;
  // A URL has IPv6 addresses in brackets.
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  return { url, proxy, host, port: Number(port) || (DEFAULT_PORTS[protocol] ?? 80) };
}

const DEFAULT_PORTS: Record<string, number> = { "https:": 443, "socks5:": 1080, "socks5h:": 1080 };

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => made ??= make();
}
