import type { Reachability } from "./reachability.ts";

/**
 * The server closes idle connections after 5 s (contract: Base path): those idle for longer than
 * this are not used again, so that a call is not reset by that.
 */
const POOL_IDLE_MS = 4_000;
const CA_STORE = "DENO_TLS_CA_STORE";
const CERTIFICATE = "-----BEGIN CERTIFICATE-----";

/** The way to one control plane: HTTP and WebSocket go it alike. */
export interface Network {
  /** The control plane's address, without a trailing slash and without `/api/v1`. */
  readonly apiUrl: string;
  /** Holds what is trusted and the pool of connections, and obeys HTTPS_PROXY and NO_PROXY. */
  readonly client: Deno.HttpClient;
  /** Whether it leads there, as far as whoever goes it has seen. */
  readonly reachability: Reachability;
}

/**
 * Makes the client of a {@linkcode Network}. It trusts Mozilla's authorities, the system's where
 * there are any, and those of `caPem`; whoever sets DENO_TLS_CA_STORE decides on the first two.
 *
 * @throws {Error} when `caPem` holds no certificate, or one that cannot be read.
 */
export function createClient(caPem?: string): Deno.HttpClient {
  if (caPem !== undefined && !caPem.includes(CERTIFICATE)) {
    throw new Error("there is no certificate in it");
  }
  const options = { caCerts: caPem ? [caPem] : [], poolIdleTimeout: POOL_IDLE_MS };
  try {
    if (Deno.env.get(CA_STORE)) return Deno.createHttpClient(options);
    // Deno reads its stores with the first client; tasks must not inherit what is set for that.
    Deno.env.set(CA_STORE, "system,mozilla");
    try {
      return Deno.createHttpClient(options);
    } finally {
      Deno.env.delete(CA_STORE);
    }
  } catch {
    // There may be no store of the system's. If it is caPem that is bad, it is so here too.
    return Deno.createHttpClient(options);
  }
}
