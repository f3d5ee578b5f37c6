import { connect as connectTcp, createServer, type Socket } from "node:net";

/** A proxy that tunnels to this machine, or answers `refusal`. */
export class ConnectProxy implements AsyncDisposable {
  /** The hosts that it was asked for. */
  readonly asked: string[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #server;

  private constructor(refusal?: string) {
    this.#server = createServer((near) => {
      this.#keep(near);
      near.once("data", (head) => {
        const [, host = "", port = ""] = /^CONNECT ([^:]+):(\d+) /.exec(head.toString()) ?? [];
        this.asked.push(host);
        if (refusal) {
          near.end(`HTTP/1.1 ${refusal}\r\n\r\n`);
          return;
        }
        const far = connectTcp(Number(port), "127.0.0.1", () => {
          near.write("HTTP/1.1 200 OK\r\n\r\n");
          near.pipe(far).pipe(near);
        });
        this.#keep(far);
      });
    });
  }

  /** Starts one on a free port. */
  static async start(refusal?: string): Promise<ConnectProxy> {
    const proxy = new ConnectProxy(refusal);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** Its address. */
  get url(): string {
    const address = this.#server.address();
    return typeof address === "object" ? `http://127.0.0.1:${address?.port}` : "";
  }

  /** Ends it and all that goes through it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
  }
}
