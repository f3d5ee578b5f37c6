import assert from "node:assert/strict";
import { delay } from "@std/async";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { cString, LibcError, openLibc, Pinned } from "./libc.ts";

const ENOENT = 2;
const EBADF = 9;

Deno.test("a call that fails says what was tried, and why it failed", () => {
  using libc = openLibc();
  const { symbols } = libc;
  assert.throws(
    () => libc.check(symbols.open(cString("/nowhere/at/all"), 0, 0), "open /nowhere/at/all"),
    new LibcError("open /nowhere/at/all", ENOENT, "No such file or directory"),
  );
  assert.throws(
    () => libc.check(symbols.write(-1, new Uint8Array(1), 1n), "write"),
    new LibcError("write", EBADF, "Bad file descriptor"),
  );
});

Deno.test("a call that succeeds gives its result as a number", () => {
  using libc = openLibc();
  const { symbols } = libc;
  const fd = libc.check(symbols.open(cString("/dev/zero"), 0, 0), "open");
  const bytes = new Uint8Array(8).fill(1);
  assert.equal(libc.check(symbols.read(fd, bytes, 8n), "read"), 8);
  assert.deepEqual(bytes, new Uint8Array(8));
  assert.equal(libc.check(symbols.close(fd), "close"), 0);
});

Deno.test("the library stays open until the last who uses it lets it go", () => {
  using first = openLibc();
  const second = openLibc();
  second[Symbol.dispose]();
  second[Symbol.dispose]();
  assert.equal(first.symbols.fcntl(-1, 1, 0), -1);
});

Deno.test("text with NUL is no text for C", () => {
  assert.deepEqual([...cString("ü")], [0xc3, 0xbc, 0]);
  assert.throws(() => cString("/etc\0/passwd"), TypeError);
});

Deno.test("what only a structure of C leads to is held on to until after the call", async () => {
  setFlagsFromString("--expose-gc");
  const collect = async () => {
    // What a WeakRef has given stays until the next turn.
    await delay(0);
    runInNewContext("gc()");
  };
  const pinned = new Pinned();
  const held = ((bytes) => {
    pinned.addressOf(bytes);
    return new WeakRef(bytes.buffer);
  })(new Uint8Array(4));
  await collect();
  assert(held.deref());
  pinned[Symbol.dispose]();
  await collect();
  assert.equal(held.deref(), undefined);
});
