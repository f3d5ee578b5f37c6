import { BlockList, connect, isIP } from "node:net";
import { judgeAfter } from "../system/stall.ts";
import { messageOf } from "../system/user_error.ts";
import { type Check, fail, type Finding, ok, skip, warn } from "./check.ts";
import type { CheckContext } from "./check_context.ts";
import type { ReadEnv } from "../config/mod.ts";

/** How long a name server and a connection may take, in milliseconds. */
const STEP_LIMIT_MS = 3_500;
const DNS_MEND = "check the name servers in /etc/resolv.conf";
/** So many addresses of a host are tried. */
const MAX_ADDRESSES = 4;

/** The way to the control plane, up to the first byte. */
export function routeChecks(context: CheckContext): Check[] {
  const limitMs = STEP_LIMIT_MS;
  return [
    { name: "proxy", needs: ["api_url"], run: () => checkProxy(context) },
    { name: "DNS", needs: ["proxy"], limitMs, lateFix: DNS_MEND, run: () => checkDns(context) },
    { name: "TCP", needs: ["DNS"], limitMs, run: (signal) => checkTcp(context, signal) },
  ];
}

async function checkProxy({ route }: CheckContext): Promise<Finding> {
  const { proxy, url } = await route();
  if (!proxy) return ok(`none applies to ${url.hostname}`);
  return ok(`${maskProxy(proxy)}, named by ${proxy.variable}`);
}

async function checkDns({ route, addresses }: CheckContext): Promise<Finding> {
  const { host, proxy } = await route();
  if (isIP(host)) return skip(`${host} is an address`);
  const startMs = performance.now();
  try {
    const found = await addresses();
    const tookMs = Math.round(performance.now() - startMs);
    return ok(`${host} is ${found.join(", ")} (${tookMs} ms)`);
  } catch (error) {
    const place = proxy ? proxy.variable : "api_url";
    return fail(
      `${host} is not found (${messageOf(error)})`,
      `correct the host in ${place}, or the name servers in /etc/resolv.conf; try: getent hosts ${host}`,
    );
  }
}

async function checkTcp({ route, addresses }: CheckContext, signal: AbortSignal): Promise<Finding> {
  const { host, port, proxy } = await route();
  const tried = (await addresses()).slice(0, MAX_ADDRESSES);
  const results = await Promise.all(tried.map((address) => dial(address, port, signal)));
  const found = results.map((result, i) => `${tried[i]} port ${port}: ${result.words}`).join("; ");
  const reached = results.filter(({ reached }) => reached).length;
  if (reached === results.length) return ok(found);
  const peer = proxy ? `the proxy of ${proxy.variable}` : "the control plane";
  if (reached > 0) return warn(found, `correct the addresses of ${host}, or the route to them`);
  return fail(
    found,
    `check that ${peer} runs, that it listens at ${host} port ${port}, and that no firewall is ` +
      "in between",
  );
}

interface Dialled {
  reached: boolean;
  words: string;
}

/** Opens a TCP connection and closes it. */
function dial(address: string, port: number, signal: AbortSignal): Promise<Dialled> {
  const { promise, resolve } = Promise.withResolvers<Dialled>();
  const startMs = performance.now();
  const socket = connect({ host: address, port });
  const end = (reached: boolean, words: string) => {
    cancel();
    socket.destroy();
    resolve({ reached, words });
  };
  const late = () => end(false, "no answer");
  // Before the limit of the check, so that each address has its own word.
  const cancel = judgeAfter(STEP_LIMIT_MS - 500, late);
  signal.addEventListener("abort", late, { once: true });
  socket.once("connect", () => end(true, `${Math.round(performance.now() - startMs)} ms`));
  socket.once("error", (error) => end(false, messageOf(error)));
  return promise;
}

/** A proxy that the environment asks for. */
export interface Proxy {
  /** The variable that names it. */
  variable: string;
  /** Where it is, with its password. */
  url: URL;
}

/** The variables that may name a proxy, the first that does wins; as Deno's network reads them. */
const VARIABLES: Record<string, readonly string[]> = {
  "https:": ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"],
  "http:": ["ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"],
};

/** The proxy that calls of `target` take, as Deno's network chooses it; undefined without one. */
export function proxyFor(target: URL, env: ReadEnv): Proxy | undefined {
  for (const variable of VARIABLES[target.protocol] ?? []) {
    const url = parseProxy(env(variable));
    if (url) return isExempt(target.hostname, env) ? undefined : { variable, url };
  }
  return undefined;
}

/** A proxy's address without its password. */
export function maskProxy({ url }: Proxy): string {
  const user = url.username ? `${url.username}${url.password ? ":***" : ""}@` : "";
  return `${url.protocol}//${user}${url.host}`;
}

/** Without a scheme it is an HTTP proxy; what is no URL is ignored. */
function parseProxy(text = ""): URL | undefined {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  return url?.hostname ? url : undefined;
}

/** Whether NO_PROXY names the host: itself, a domain it is in, its network, or `*`. */
function isExempt(hostname: string, env: ReadEnv): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const entries = (env("NO_PROXY") ?? env("no_proxy") ?? "").split(",").map((entry) =>
    entry.trim()
  );
  if (isIP(host)) return entries.some((entry) => isWithin(host, entry));
  return entries.some((entry) => {
    const domain = entry.replace(/^\./, "");
    return entry === "*" || (domain !== "" && (host === domain || host.endsWith(`.${domain}`)));
  });
}

function isWithin(address: string, network: string): boolean {
  const [base = "", bits] = network.split("/");
  const family = isIP(base) === 6 ? "ipv6" : "ipv4";
  if (!isIP(base) || isIP(base) !== isIP(address)) return false;
  if (bits === undefined) return base === address;
  const prefix = Number(bits);
  if (!/^\d+$/.test(bits) || prefix > (family === "ipv6" ? 128 : 32)) return false;
  const list = new BlockList();
  list.addSubnet(base, prefix, family);
  return list.check(address, family);
}
