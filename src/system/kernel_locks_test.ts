import assert from "node:assert/strict";
import { type Holder, lockHolder } from "./kernel_locks.ts";

const NAMES: Record<string, string> = { "/proc/7/comm": "apt-get\n", "/proc/8/comm": "postgres\n" };

/** Who holds the lock of the file `inode major minor`, when these locks are listed. */
function holder(file: string, ...locks: string[]): Holder | undefined {
  const [inode = "", major, minor] = file.split(" ");
  const listed = locks.map((lock, at) => `${at + 1}: ${lock} 0 EOF\n`).join("");
  return lockHolder("/x", {
    file: () => ({ inode: BigInt(inode), device: [Number(major), Number(minor)] }),
    read: (path) => path === "/proc/locks" ? listed : NAMES[path] ?? "",
  });
}

const OURS = "FLOCK  ADVISORY  WRITE 7 fe:00:5678";
const OTHER_DISK = "POSIX  ADVISORY  WRITE 8 fe:10:5678";

Deno.test("a file of the same number on another disk holds no lock of this one", () => {
  assert.deepEqual(holder("5678 254 0", OTHER_DISK, OURS), {
    pid: 7,
    name: "apt-get",
    certain: true,
  });
  assert.equal(holder("5678 254 0", OTHER_DISK), undefined);
  assert.equal(holder("678 254 0", OURS), undefined);
  assert.equal(holder("5678 254 0", OURS.replace("WRITE", "READ ")), undefined);
  // NVMe disks and large minors: 103:5 is 67:05, 8:1048576 is 08:100000.
  assert.equal((holder("5 103 5", "FLOCK  ADVISORY  WRITE 7 67:05:5"))?.certain, true);
  assert.equal((holder("5 8 1048576", "FLOCK  ADVISORY  WRITE 7 08:100000:5"))?.pid, 7);
});

Deno.test("where a file system shows another device the holder is uncertain, unless one fits", () => {
  const listed = "FLOCK  ADVISORY  WRITE 8 00:1c:5678";
  assert.deepEqual(holder("5678 0 45", listed), { pid: 8, name: "postgres", certain: false });
  const exact = "FLOCK  ADVISORY  WRITE 7 00:2d:5678";
  assert.deepEqual(holder("5678 0 45", listed, exact), {
    pid: 7,
    name: "apt-get",
    certain: true,
  });
});

Deno.test("the kernel tells who holds a lock on a file that there is", async () => {
  const path = await Deno.makeTempFile();
  assert.equal(lockHolder(path), undefined);
  {
    using file = await Deno.open(path, { write: true });
    await file.lock(true);
    const { pid, name } = lockHolder(path) ?? {};
    assert.equal(pid, Deno.pid);
    assert(name);
  }
  assert.equal(lockHolder(path), undefined);
  await Deno.remove(path);
  assert.equal(lockHolder(path), undefined);
});
