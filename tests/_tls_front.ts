import { connect as connectTcp } from "node:net";
import { createServer } from "node:tls";
import * as z from "@zod/zod";
import { certificates } from "../src/realtime/_certificates.ts";
import type { Fleet } from "./_agent.ts";

/** A way to the control plane by TLS. */
export async function tlsFront(
  fleet: Fleet,
): Promise<{ url: string; port: number } & AsyncDisposable> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer(await certificates(fleet.folder), (near) => {
    const far = connectTcp(fleet.controlPlane.port, "127.0.0.1");
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        to.destroy();
        sockets.delete(from);
      });
    }
  });
  // An agent that does not trust the certificate resets the connection before it is secure.
  server.on("connection", (raw) => raw.on("error", () => raw.destroy()));
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return {
    url: `https://localhost:${port}`,
    port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
