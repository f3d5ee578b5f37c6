import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type PeerCertificate, type TLSSocket } from "node:tls";
import { oneLine } from "../system/text.ts";
import type { Route } from "./check_context.ts";

/** What a TLS server shows of itself, whether it is trusted or not. */
export interface Peer {
  /** The protocol that was agreed on, such as `TLSv1.3`. */
  protocol: string;
  /** Whom the certificate is for. */
  subject: string;
  /** Who has signed it. */
  issuer: string;
  /** The names and addresses that it is valid for. */
  names: string[];
  /** When it begins to be valid. */
  validFrom: Date;
  /** When it expires. */
  validTo: Date;
}

/**
 * Reads the certificate of the server at the end of `route`, through its proxy if it has one. Nothing
 * is sent that an untrusted server should not see.
 *
 * @throws when there is no TLS server, or none that can be reached.
 */
export async function readPeer(route: Route, signal: AbortSignal): Promise<Peer> {
  const { url, proxy, host, port } = route;
  if (proxy && proxy.url.protocol !== "http:") {
    throw new Error(
      `its certificate cannot be read through a ${proxy.url.protocol.slice(0, -1)} proxy`,
    );
  }
  const tcp = connectTcp({ host, port });
  try {
    await once(tcp, "connect", signal);
    if (proxy) await tunnel(tcp, route, signal);
    // Only names are asked for: TLS knows no addresses there.
    const name = isIP(url.hostname.replace(/^\[(.*)\]$/, "$1")) ? "" : url.hostname;
    const tls = connectTls({ socket: tcp, servername: name, rejectUnauthorized: false });
    await once(tls, "secureConnect", signal);
    return describe(tls);
  } finally {
    tcp.destroy();
  }
}

/** Has an HTTP proxy connect us to where the route leads. */
async function tunnel(tcp: Socket, { url, proxy }: Route, signal: AbortSignal): Promise<void> {
  const target = `${url.hostname}:${url.port || 443}`;
  const { username = "", password = "" } = proxy?.url ?? {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const authorization = username ? `Proxy-Authorization: Basic ${btoa(pair)}\r\n` : "";
  tcp.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${authorization}\r\n`);
  const head = String(await once(tcp, "data", signal));
  const [, status, words = ""] = /^HTTP\/1\.\d (\d{3}) ?([^\r\n]*)/.exec(head) ?? [];
  if (status !== "200") {
    throw new ProxyRefusal(`the proxy answered ${status ?? "no HTTP"} ${oneLine(words)}`.trim());
  }
}

/** A proxy does not let us through. */
export class ProxyRefusal extends Error {
  static {
    this.prototype.name = "ProxyRefusal";
  }
}

function describe(tls: TLSSocket): Peer {
  const certificate = tls.getPeerCertificate();
  return {
    protocol: tls.getProtocol() ?? "TLS",
    subject: nameOf(certificate.subject),
    issuer: nameOf(certificate.issuer),
    names: (certificate.subjectaltname ?? "").split(", ")
      .map((name) => oneLine(name.replace(/^(DNS|IP Address):/, ""))).filter(Boolean),
    validFrom: new Date(certificate.valid_from),
    validTo: new Date(certificate.valid_to),
  };
}

/** Some authorities have an organisation and no name. */
function nameOf({ CN, O, OU }: PeerCertificate["subject"]): string {
  return oneLine([CN ?? OU ?? O ?? "nobody"].flat().join(" "));
}

/** The event's value; rejects with the socket's error, at its end, and when the signal aborts. */
function once(socket: Socket, event: string, signal: AbortSignal): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const onAbort = () => reject(new Error("no answer in time"));
  const onClose = () => reject(new Error("the connection was closed"));
  socket.once(event, resolve).once("error", reject).once("close", onClose);
  signal.addEventListener("abort", onAbort);
  return promise.finally(() => {
    signal.removeEventListener("abort", onAbort);
    socket.off(event, resolve).off("close", onClose);
    // One listener stays: what goes wrong afterwards is of no interest, but must not be unheard.
  });
}
