import type { ManagerOptions, WebSocket as EngineTransport } from "socket.io-client";

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
