import assert from "node:assert/strict";
import { openLibc, readKernelFolder } from "./libc.ts";
import { sendAtOnce } from "./no_delay.ts";

const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;

/** Of all TCP sockets of this process whether they send at once. */
function noDelays(): boolean[] {
  using libc = openLibc();
  const own = Deno.dlopen("libc.so.6", {
    getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  });
  try {
    const fds = (readKernelFolder(libc, "/proc/self/fd") ?? []).map(Number);
    return fds.filter(Number.isInteger).flatMap((fd) => {
      const value = new Uint8Array(4);
      const length = new Uint8Array(new Int32Array([4]).buffer);
      const got = own.symbols.getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, value, length);
      return got === 0 ? [value.some((byte) => byte !== 0)] : [];
    });
  } finally {
    own.close();
  }
}

Deno.test("a connection sends at once what there is, whoever has made it", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [client, server] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port }),
    listener.accept(),
  ]);
  using _ = client;
  using __ = server;
  assert(noDelays().includes(false), "as the system makes them");
  // A test beside this one may make another at any time.
  const isDone = () => {
    sendAtOnce();
    return noDelays().every((isOn) => isOn);
  };
  assert(Array.from({ length: 50 }, isDone).includes(true));
});
