import { BlockList, isIP } from "node:net";
import type { ReadEnv } from "../config/mod.ts";

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
