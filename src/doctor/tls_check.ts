import { NAME } from "../system/paths.ts";
import { TimeLimit } from "../system/stall.ts";
import { messageOf } from "../system/user_error.ts";
import { ANSWER_LIMIT_MS, UnansweredError } from "../control_plane/api_answer.ts";
import { type Check, fail, type Finding, ok, skip, warn } from "./check.ts";
import { type Peer, ProxyRefusal, readPeer } from "./peer_certificate.ts";
import type { CheckContext } from "./check_context.ts";

const DAY_MS = 24 * 3_600_000;
/** A certificate that expires sooner is warned of, in days. */
const EXPIRES_SOON_DAYS = 7;

/** What the control plane's certificate says, and whether the agent trusts it. */
export function tlsChecks(context: CheckContext): Check[] {
  return [{
    name: "TLS",
    needs: ["TCP", "CA file"],
    limitMs: ANSWER_LIMIT_MS + 1_000,
    run: () => checkTls(context),
  }];
}

/**
 * Trust is the decision of the network that the agent itself uses: its error counts. The certificate
 * is read beside it, since that network does not show it.
 */
async function checkTls({ route, answer }: CheckContext): Promise<Finding> {
  const there = await route();
  if (there.url.protocol !== "https:") return skip("api_url is http");
  using limit = new TimeLimit(ANSWER_LIMIT_MS);
  const [asked, read] = await Promise.allSettled([answer(), readPeer(there, limit.signal)]);
  const peer = read.status === "fulfilled" ? read.value : undefined;
  if (asked.status === "rejected") {
    if (!(asked.reason instanceof UnansweredError)) throw asked.reason;
    const reason = asked.reason.message;
    if (read.status === "rejected" && read.reason instanceof ProxyRefusal) {
      return fail(read.reason.message, proxyFix(there.proxy?.variable));
    }
    if (!peer || /certificate/i.test(reason)) return distrust(reason, peer, there.url);
  }
  if (!peer) return ok(`trusted; ${read.status === "rejected" ? messageOf(read.reason) : ""}`);
  const days = daysLeft(peer);
  const found =
    `${peer.protocol}, ${peer.subject} by ${peer.issuer}, expires ${day(peer.validTo)} ` +
    `(in ${days} day${days === 1 ? "" : "s"})`;
  return days > EXPIRES_SOON_DAYS
    ? ok(found)
    : warn(found, "renew the control plane's certificate");
}

function distrust(reason: string, peer: Peer | undefined, url: URL): Finding {
  const shown = peer
    ? `; it is for ${peer.names.join(", ") || peer.subject}, by ${peer.issuer}`
    : "";
  const port = url.port || "443";
  const path = url.pathname.replace(/\/$/, "");
  const certificate = `the certificate of ${url.hostname}`;
  if (/expired/i.test(reason)) {
    return fail(
      `${certificate} has expired${peer ? ` on ${day(peer.validTo)}` : ""}${shown}`,
      "renew it on the control plane; if it has not expired, set this machine's clock: timedatectl",
    );
  }
  if (/not valid yet|NotValidYet/i.test(reason)) {
    return fail(
      `${certificate} is not valid yet${peer ? `, but from ${day(peer.validFrom)}` : ""}${shown}`,
      "set this machine's clock: timedatectl set-ntp true",
    );
  }
  if (/not valid for name|NotValidForName/i.test(reason)) {
    const [name = "<its name>"] = peer?.names ?? [];
    return fail(
      `${certificate} is for another name${shown}`,
      `${NAME} config set api_url https://${name}:${port}${path}`,
    );
  }
  if (/UnknownIssuer|CaUsedAsEndEntity/.test(reason)) {
    return fail(
      `the authority of ${certificate} is not known${shown}`,
      `save the authority's certificate as PEM, then ${NAME} config set api_tls_ca_file ` +
        "/etc/noderax-agent/ca.pem",
    );
  }
  if (/speaks http, not https|InvalidMessage/.test(reason)) {
    return fail(
      `${url.host} does not speak TLS`,
      `if it speaks http: ${NAME} config set api_url http://${url.hostname}:${port}${path}`,
    );
  }
  return fail(reason + shown, `try: openssl s_client -connect ${url.hostname}:${port}`);
}

/** What to do about a proxy that refuses. */
export function proxyFix(variable = "HTTPS_PROXY"): string {
  return `let the proxy pass the control plane's host, or put user and password into ${variable}, ` +
    "or name the host in NO_PROXY";
}

function daysLeft({ validTo }: Peer): number {
  return Math.floor((validTo.getTime() - Date.now()) / DAY_MS);
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
