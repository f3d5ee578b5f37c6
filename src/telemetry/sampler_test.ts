import assert from "node:assert/strict";
import { TelemetrySampler, type TelemetrySamplerOptions } from "./sampler.ts";
import type { MetricsSnapshot } from "./snapshot.ts";

const AN_HOUR_MS = 3_600_000;
const snapshot: MetricsSnapshot = {
  collectedAt: "1970-01-01T00:00:00.000Z",
  cpuUsage: 1,
  memoryUsage: 2,
  diskUsage: 3,
  cpu: { usagePercent: 1 },
  memory: { totalBytes: 1, usedBytes: 0, freeBytes: 1, usedPercent: 2, availableBytes: 1 },
  disk: { path: "/", totalBytes: 1, usedBytes: 0, freeBytes: 1, usedPercent: 3 },
};

/** Runs a sampler; `sent(n)` is kept when n snapshots were sent, and leaving the scope stops it. */
function sampling(changes: Partial<TelemetrySamplerOptions> = {}) {
  const stop = new AbortController();
  let count = 0;
  let waiting = () => {};
  const sampler = new TelemetrySampler({
    read: () => Promise.resolve(snapshot),
    intervalMs: () => AN_HOUR_MS,
    ...changes,
    link: {
      whenReady: changes.link?.whenReady ?? (() => Promise.resolve()),
      emitMetrics: () => {
        count++;
        waiting();
      },
    },
  });
  const run = sampler.run(stop.signal);
  return {
    sampler,
    count: () => count,
    async sent(wanted: number) {
      while (count < wanted) await new Promise<void>((resolve) => waiting = resolve);
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await run;
    },
  };
}

Deno.test("a snapshot is sent at once, then in every interval, which may change", async () => {
  const intervals = [1, 2, 3];
  await using samples = sampling({ intervalMs: () => intervals.shift() ?? AN_HOUR_MS });
  await samples.sent(4);
  assert.equal(intervals.length, 0);
});

Deno.test("a pause ends when a snapshot is wanted now", async () => {
  await using samples = sampling();
  await samples.sent(1);
  for (const wanted of [2, 3]) {
    await new Promise((resolve) => setTimeout(resolve));
    samples.sampler.sampleNow();
    await samples.sent(wanted);
  }
});

Deno.test("a snapshot that is being taken is not overlapped", async () => {
  const reads = [Promise.withResolvers<MetricsSnapshot>()];
  let started = 0;
  await using samples = sampling({
    read: () => reads[started++]?.promise ?? Promise.resolve(snapshot),
  });
  while (started === 0) await new Promise((resolve) => setTimeout(resolve));
  samples.sampler.sampleNow();
  samples.sampler.sampleNow();
  reads[0]?.resolve(snapshot);
  await samples.sent(1);
  assert.deepEqual([started, samples.count()], [1, 1]);
});

Deno.test("nothing is read while nobody listens", async () => {
  const ready = Promise.withResolvers<void>();
  let reads = 0;
  await using samples = sampling({
    link: { whenReady: () => ready.promise, emitMetrics: () => {} },
    read: () => Promise.resolve((reads++, snapshot)),
  });
  await new Promise((resolve) => setTimeout(resolve));
  samples.sampler.sampleNow();
  assert.equal(reads, 0);
  ready.resolve();
  await samples.sent(1);
  assert.equal(reads, 1);
});

Deno.test("where there is no snapshot nothing is sent, and sampling goes on", async () => {
  const taken = [undefined, undefined, snapshot];
  const intervals = [1, 1];
  await using samples = sampling({
    read: () => Promise.resolve(taken.shift()),
    intervalMs: () => intervals.shift() ?? AN_HOUR_MS,
  });
  await samples.sent(1);
  assert.deepEqual(taken, []);
});

Deno.test("an abort ends it wherever it is: waiting for a listener, reading, pausing", async () => {
  let reading = () => {};
  const untilAborted = (signal?: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      reading();
    });
  {
    await using _waiting = sampling({ link: { whenReady: untilAborted, emitMetrics: () => {} } });
  }
  {
    const begun = new Promise<void>((resolve) => reading = resolve);
    await using _reading = sampling({ read: untilAborted });
    await begun;
  }
  await using pausing = sampling();
  await pausing.sent(1);
});
