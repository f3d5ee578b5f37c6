import assert from "node:assert/strict";
import { Logger } from "../system/logger.ts";
import { parseNetworks } from "./network_traffic.ts";
import { type Readers, SnapshotReader } from "./snapshot.ts";

const GIB = 2 ** 30;
const NETWORK = `Inter-|   Receive\n face |bytes\neth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n`;

/** A reader on a machine of which all is known, with the log's lines. */
function machine(changes: Partial<Readers> = {}, now = () => 0) {
  const lines: Record<string, unknown>[] = [];
  const logger = new Logger({ write: (line) => lines.push(JSON.parse(line)) });
  const readers: Readers = {
    cpu: () => Promise.resolve({ usagePercent: 12.345 }),
    memory: () => ({
      totalBytes: 4 * GIB,
      usedBytes: GIB,
      freeBytes: 2 * GIB,
      usedPercent: 25,
      availableBytes: 3 * GIB,
    }),
    disk: () =>
      Promise.resolve({
        path: "/",
        totalBytes: 10 * GIB,
        usedBytes: 4 * GIB,
        freeBytes: 5 * GIB,
        usedPercent: 400 / 9,
      }),
    sensors: () => ["/sensor"],
    kernelFiles: (paths) => Promise.resolve(NETWORK + (paths.includes("/sensor") ? "47125\n" : "")),
    ...changes,
  };
  const wallClock = () => new Date(0);
  const reader = new SnapshotReader({ logger, readers, now, wallClock });
  return { reader, lines, told: () => lines.map(({ level, metric }) => `${level} ${metric}`) };
}

Deno.test("a snapshot has the contract's shape", async () => {
  const { reader, lines } = machine();
  assert.deepEqual(await reader.read(), {
    collectedAt: "1970-01-01T00:00:00.000Z",
    cpuUsage: 12.35,
    memoryUsage: 25,
    diskUsage: 44.44,
    temperature: 47.13,
    networkStats: parseNetworks(NETWORK),
    cpu: { usagePercent: 12.35 },
    memory: {
      totalBytes: 4 * GIB,
      usedBytes: GIB,
      freeBytes: 2 * GIB,
      usedPercent: 25,
      availableBytes: 3 * GIB,
    },
    disk: {
      path: "/",
      totalBytes: 10 * GIB,
      usedBytes: 4 * GIB,
      freeBytes: 5 * GIB,
      usedPercent: 44.44,
    },
  });
  assert.deepEqual(lines, []);
});

Deno.test("no percentage leaves 0 to 100", async () => {
  for (const [usagePercent, expected] of [[104.2, 100], [-3, 0], [100, 100], [0, 0]] as const) {
    const { reader } = machine({ cpu: () => Promise.resolve({ usagePercent }) });
    const snapshot = await reader.read();
    assert.deepEqual([snapshot?.cpuUsage, snapshot?.cpu.usagePercent], [expected, expected]);
  }
});

Deno.test("without processor, memory or disk there is no snapshot, and a made-up value never", async () => {
  const broken: Partial<Readers>[] = [
    { cpu: () => Promise.resolve({ usagePercent: NaN }) },
    { memory: () => ({ ...noMemory, usedPercent: 0 / 0 }) },
    { memory: () => ({ ...noMemory, totalBytes: 0 }) },
    { disk: () => Promise.reject(new Error("Input/output error")) },
  ];
  for (const changes of broken) {
    const { reader, lines } = machine(changes);
    assert.equal(await reader.read(), undefined);
    assert.equal(await reader.read(), undefined);
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.["lost"], "all metrics");
  }
});

const noMemory = { totalBytes: 1, usedBytes: 0, freeBytes: 1, usedPercent: 0, availableBytes: 1 };

Deno.test("a reader that fails leaves its field out; the log hears of it once, and when it works again", async () => {
  let text = "47000\n";
  const { reader, told } = machine({ kernelFiles: () => Promise.resolve(text) });
  const snapshot = await reader.read();
  assert.ok(snapshot && !("networkStats" in snapshot));
  assert.equal(snapshot.temperature, 47);
  await reader.read();
  assert.deepEqual(told(), ["warn network"]);

  text = NETWORK;
  const other = await reader.read();
  assert.ok(other && !("temperature" in other));
  assert.equal(other.networkStats?.interfaces.length, 1);
  await reader.read();
  assert.deepEqual(told(), ["warn network", "info network", "warn temperature"]);
});

Deno.test("when the child cannot be started the rest is measured", async () => {
  const { reader, told } = machine({ kernelFiles: () => Promise.reject(new Error("no cat")) });
  assert.equal((await reader.read())?.cpuUsage, 12.35);
  assert.deepEqual(told().sort(), ["warn network", "warn temperature"]);
});

Deno.test("a machine without sensors has no temperature and hears no warning; sensors may come later", async () => {
  let nowMs = 0;
  let found: string[] = [];
  const { reader, lines } = machine({ sensors: () => found }, () => nowMs);
  assert.ok(!("temperature" in (await reader.read() ?? {})));
  found = ["/sensor"];
  nowMs = 599_999;
  assert.ok(!("temperature" in (await reader.read() ?? {})));
  nowMs = 600_000;
  assert.equal((await reader.read())?.temperature, 47.13);
  assert.deepEqual(lines, []);
});

Deno.test("an abort is thrown and is no failure of a reader", async () => {
  const stop = new AbortController();
  const { reader, lines } = machine({
    cpu: () => {
      stop.abort(new Error("stopped"));
      return Promise.reject(new Error("stopped"));
    },
  });
  await assert.rejects(reader.read(stop.signal), { message: "stopped" });
  assert.deepEqual(lines, []);
});

Deno.test({
  name: "this machine can be measured with the permissions that the agent has for it",
  permissions: { read: true, ffi: true, sys: ["systemMemoryInfo"] },
  fn: async () => {
    const lines: string[] = [];
    const reader = new SnapshotReader({ logger: new Logger({ write: (it) => lines.push(it) }) });
    for (const snapshot of [await reader.read(), await reader.read()]) {
      assert.ok(snapshot?.networkStats?.interfaces);
      for (const percent of [snapshot.cpuUsage, snapshot.memoryUsage, snapshot.diskUsage]) {
        assert.ok(percent >= 0 && percent <= 100);
      }
    }
    assert.deepEqual(lines, []);
  },
});
