import assert from "node:assert/strict";
import { tools } from "./_test_tools.ts";
import { lockHolder } from "./kernel_locks.ts";

/** Who holds the lock of a file with this number on this device, when these locks are listed. */
function holder(file: string, ...locks: string[]) {
  return lockHolder(
    "/x",
    tools({
      "stat -L -c %i %d -- /x": file,
      "cat /proc/locks": locks.map((lock, at) => `${at + 1}: ${lock} 0 EOF\n`).join(""),
      "cat /proc/7/comm": "apt-get",
      "cat /proc/8/comm": "postgres",
    }),
  );
}

const OURS = "FLOCK  ADVISORY  WRITE 7 fe:00:5678";
const OTHER_DISK = "POSIX  ADVISORY  WRITE 8 fe:10:5678";

Deno.test("a file of the same number on another disk holds no lock of this one", async () => {
  assert.deepEqual(await holder("5678 65024", OTHER_DISK, OURS), {
    pid: 7,
    name: "apt-get",
    certain: true,
  });
  assert.equal(await holder("5678 65024", OTHER_DISK), undefined);
  assert.equal(await holder("678 65024", OURS), undefined);
  assert.equal(await holder("5678 65024", OURS.replace("WRITE", "READ ")), undefined);
  // NVMe disks and large minors: 103:5 is 67:05, 8:1048576 is 08:100000.
  assert.equal((await holder("5 26373", "FLOCK  ADVISORY  WRITE 7 67:05:5"))?.certain, true);
  const large = String(8n << 8n | 0x100000n << 12n);
  assert.equal((await holder(`5 ${large}`, "FLOCK  ADVISORY  WRITE 7 08:100000:5"))?.pid, 7);
});

Deno.test("where a file system shows another device the holder is uncertain, unless one fits", async () => {
  const listed = "FLOCK  ADVISORY  WRITE 8 00:1c:5678";
  assert.deepEqual(await holder("5678 45", listed), { pid: 8, name: "postgres", certain: false });
  const exact = "FLOCK  ADVISORY  WRITE 7 00:2d:5678";
  assert.deepEqual(await holder("5678 45", listed, exact), {
    pid: 7,
    name: "apt-get",
    certain: true,
  });
});
