import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { delay } from "@std/async";
import * as z from "@zod/zod";

/** How often a line that is held looks whether it may go on, in milliseconds. */
const LOOK_MS = 20;
/** Of what is throttled so much goes at once, in bytes. */
const SLICE_BYTES = 512;

/** What befalls the bytes on their way. */
export interface Weather {
  /** How much later each piece arrives, in milliseconds. */
  delayMs: number;
  /** How many bytes a second pass; 0 sets no bound. */
  bytesPerSecond: number;
  /** Nothing passes until this ends. */
  hole: boolean;
  /** The next piece has a byte that is another. */
  corrupt: boolean;
  /** The next piece comes twice. */
  duplicate: boolean;
}

const FINE: Weather = {
  delayMs: 0,
  bytesPerSecond: 0,
  hole: false,
  corrupt: false,
  duplicate: false,
};

interface Line {
  near: Socket;
  far: Socket;
  /** Whatever is sent from now on arrives nowhere, and nobody is told. */
  dead: boolean;
}

/** A way to a port of this machine, along which everything happens that happens to networks. */
export class Proxy implements AsyncDisposable {
  /** May be changed at any time. */
  readonly weather: Weather = { ...FINE };
  readonly #server: Server;
  readonly #lines = new Set<Line>();

  private constructor(farPort: number) {
    this.#server = createServer({ allowHalfOpen: true }, (near) => this.#serve(near, farPort));
  }

  /** Starts one in front of a port. */
  static async start(farPort: number): Promise<Proxy> {
    const proxy = new Proxy(farPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** Where it listens. */
  get port(): number {
    return z.object({ port: z.number() }).parse(this.#server.address()).port;
  }

  /** All is well again; lines that died stay dead. */
  clear(): void {
    Object.assign(this.weather, FINE);
  }

  /** Ends every connection at once, with whatever is on its way. */
  cut(): void {
    for (const { near, far } of this.#lines) {
      near.destroy();
      far.destroy();
    }
  }

  /** Every connection there is now is dead, and stays open. */
  die(): void {
    for (const line of this.#lines) line.dead = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(near: Socket, farPort: number): void {
    const far = connect({ port: farPort, host: "127.0.0.1", allowHalfOpen: true });
    const line = { near, far, dead: false };
    this.#lines.add(line);
    for (const [from, to] of [[near, far], [far, near]] as const) {
      from.on("error", () => to.destroy());
      from.on("close", () => {
        if (from.readableEnded) return;
        to.destroy();
        this.#lines.delete(line);
      });
      // Whoever reads from a connection that was destroyed learns of it by an error.
      void this.#pass(line, from, to).catch(() => {});
    }
  }

  async #pass(line: Line, from: Socket, to: Socket): Promise<void> {
    for await (const piece of from) {
      for (const part of this.#parts(z.instanceof(Uint8Array).parse(piece))) {
        await this.#wait(line, to, part.length);
        if (line.dead || to.destroyed) break;
        if (!to.write(part)) await once(to, "drain");
      }
    }
    await this.#wait(line, to, 0);
    if (!line.dead) to.end();
  }

  #parts(piece: Uint8Array): Uint8Array[] {
    const { weather } = this;
    let bytes = piece;
    if (weather.corrupt) {
      weather.corrupt = false;
      bytes = piece.slice();
      const at = Math.floor(bytes.length / 2);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
    }
    const copies = weather.duplicate ? [bytes, bytes] : [bytes];
    weather.duplicate = false;
    if (weather.bytesPerSecond === 0) return copies;
    return copies.flatMap((copy) => {
      const slices = Math.ceil(copy.length / SLICE_BYTES);
      return Array.from(
        { length: slices },
        (_, i) => copy.subarray(i * SLICE_BYTES, (i + 1) * SLICE_BYTES),
      );
    });
  }

  async #wait(line: Line, to: Socket, bytes: number): Promise<void> {
    const { delayMs, bytesPerSecond } = this.weather;
    const takesMs = delayMs + (bytesPerSecond > 0 ? bytes / bytesPerSecond * 1_000 : 0);
    if (takesMs > 0) await delay(takesMs);
    while ((this.weather.hole || line.dead) && !to.destroyed && !line.near.destroyed) {
      await delay(LOOK_MS);
    }
  }
}
