import { connect, isIP } from "node:net";
import { judgeAfter } from "../system/stall.ts";
import { messageOf } from "../system/user_error.ts";
import { type Check, fail, type Finding, ok, skip, warn } from "./check.ts";
import type { CheckContext } from "./check_context.ts";
import { maskProxy } from "./proxy.ts";

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
