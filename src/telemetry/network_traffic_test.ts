import assert from "node:assert/strict";
import { readKernelFiles } from "./kernel_files.ts";
import { NETWORK_FILE, parseNetworks } from "./network_traffic.ts";

const HEAD = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
`;

Deno.test("counters are found by their place, whatever the name and the spaces", () => {
  const { interfaces, ...sums } = parseNetworks(
    `${HEAD}    lo: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9
  eth0:95452233    2625    3    4    5     6          7         8   145517    1677    11    12    13     14       15          16
wlx00c0ca123456: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0
veth:a:5 6 0 0 0 0 0 0 7 8 0 0 0 0 0 0
`,
  );
  assert.deepEqual(interfaces[1], {
    interface: "eth0",
    bytesSent: 145_517,
    bytesRecv: 95_452_233,
    packetsSent: 1_677,
    packetsRecv: 2_625,
    errorsIn: 3,
    errorsOut: 11,
    dropIn: 4,
    dropOut: 12,
  });
  assert.deepEqual(interfaces.map((it) => it.interface), [
    "lo",
    "eth0",
    "wlx00c0ca123456",
    "veth:a",
  ]);
  assert.deepEqual(sums, {
    rxBytes: 95_452_239,
    txBytes: 145_527,
    rxPackets: 2_633,
    txPackets: 1_689,
    errorsIn: 3,
    errorsOut: 11,
    dropIn: 4,
    dropOut: 12,
  });
});

Deno.test("a machine with the loopback interface alone has that one, and sums of 0", () => {
  const { interfaces, ...sums } = parseNetworks(`${HEAD}    lo:${" 9".repeat(16)}\n`);
  assert.deepEqual(interfaces.map((it) => it.interface), ["lo"]);
  assert.deepEqual(Object.values(sums), [0, 0, 0, 0, 0, 0, 0, 0]);
});

Deno.test("lines of other files are no interfaces, and without the table it is an error", () => {
  assert.deepEqual(parseNetworks(`${HEAD}47000\n  eth0: 1 2 3\nAC: on\n`).interfaces, []);
  assert.throws(() => parseNetworks("47000\n"), /cannot be read/);
});

Deno.test("of very many interfaces the busiest are kept, and the sums count all", () => {
  const lines = Array.from({ length: 500 }, (_, n) => `veth${n}: ${n}${" 1".repeat(15)}`);
  const { interfaces, ...sums } = parseNetworks(HEAD + lines.join("\n"));
  assert.equal(interfaces.length, 200);
  assert.equal(interfaces.at(-1)?.interface, "veth300");
  assert.equal(sums.rxPackets, 500);
});

Deno.test("every interface of this machine is found", async () => {
  const text = await readKernelFiles([NETWORK_FILE]);
  const { interfaces } = parseNetworks(text);
  const names = text.trim().split("\n").slice(2).map((line) => line.split(":")[0]?.trim());
  assert.deepEqual(interfaces.map((it) => it.interface), names);
  assert.ok(interfaces.every((it) => Object.values(it).every((value) => value !== undefined)));
});
