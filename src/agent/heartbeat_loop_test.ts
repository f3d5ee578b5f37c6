import assert from "node:assert/strict";
import { Reachability } from "../control_plane/reachability.ts";
import { Logger } from "../system/logger.ts";
import { sendHeartbeats } from "./heartbeat_loop.ts";

Deno.test("agents that begin at one moment do not send their heartbeats in step", async () => {
  const facts = { os: "o", arch: "a", agentVersion: "2", platformVersion: "1", kernelVersion: "6" };
  const intervalMs = 40;
  // A machine that stood still between the first two has shown nothing of their pause: it is tried again.
  const parts = [0, 0, 0, 0, 0, 0.5];
  let wasNone = false;
  for (const part of parts) {
    if (part === 0 && wasNone) continue;
    const stop = new AbortController();
    const sentMs: number[] = [];
    await sendHeartbeats({
      api: {
        reachability: new Reachability(),
        heartbeat: () => {
          if (sentMs.push(performance.now()) === 3) stop.abort();
          return Promise.resolve();
        },
      },
      facts,
      intervalMs: () => intervalMs,
      logger: new Logger({ write: () => {} }),
      signal: stop.signal,
      random: () => part,
    });
    const [first = NaN, second = NaN, third = NaN] = sentMs;
    assert(second - first >= part * intervalMs - 2);
    assert(third - second >= 0.9 * intervalMs - 2, "later ones come in their interval");
    if (part === 0) wasNone = second - first < third - second;
  }
  assert(wasNone);
});
