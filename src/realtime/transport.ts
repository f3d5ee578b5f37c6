import type { ManagerOptions, WebSocket as EngineTransport } from "socket.io-client";
import { sendAtOnce } from "../system/no_delay.ts";
import { messageOf } from "../system/user_error.ts";
import { RealtimeFailure } from "./failures.ts";

type TransportClass = Extract<
  NonNullable<ManagerOptions["transports"]>[number],
  { new (o: unknown): unknown }
>;

/**
 * Makes the Socket.IO client's transport out of Deno's own WebSocket, so that it goes through the
 * same `client` as HTTP does: with its authorities and its proxy.
 *
 * `Base` is the client's WebSocket transport; `onSocket` gets each WebSocket as it is made.
 */
export function nativeTransport(
  Base: typeof EngineTransport,
  client: Deno.HttpClient,
  onSocket: (socket: WebSocket) => void,
): TransportClass {
  return class extends Base {
    override createSocket(uri: string): WebSocket {
      const socket = new WebSocket(uri, { client });
      // The base asks for Node's buffers, which this socket does not have: blobs would come instead.
      socket.binaryType = "arraybuffer";
      socket.addEventListener("open", sendAtOnce, { once: true });
      onSocket(socket);
      return socket;
    }

    /** What the client throws at a message that it cannot read would reach nobody: it ends the connection. */
    override onData(data: Parameters<EngineTransport["onData"]>[0]): void {
      try {
        super.onData(data);
      } catch (error) {
        this.onError(
          "unreadable message",
          error instanceof Error ? error : new Error(String(error)),
        );
      }
    }
  };
}

/** Where the control plane's Socket.IO server is. */
export interface Endpoint {
  /** Scheme, host and port. */
  origin: string;
  /** The path, api_url's own included, with a slash at its end. */
  path: string;
}

/**
 * Finds the Socket.IO server below the API's address.
 *
 * @throws {RealtimeFailure} when the two make no http or https URL.
 */
export function endpointOf(apiUrl: string, realtimePath: string): Endpoint {
  try {
    const { protocol, origin, pathname } = new URL(apiUrl + realtimePath);
    if (!/^https?:$/.test(protocol)) throw new TypeError(`not an http or https URL: ${apiUrl}`);
    return { origin, path: pathname.replace(/\/*$/, "/") };
  } catch (cause) {
    throw new RealtimeFailure("invalid URL input", messageOf(cause), { cause });
  }
}
