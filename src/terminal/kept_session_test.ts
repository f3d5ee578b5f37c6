import assert from "node:assert/strict";
import { join } from "@std/path";
import { openLibc } from "../system/libc.ts";
import { isOpen } from "./_test_open.ts";
import { keptFolders, KeptSession } from "./kept_session.ts";
import { OutputSpool } from "./output_spool.ts";
import { readinessClosed } from "../system/readiness.ts";
import { openUnitPty, UnitPty } from "./unit_pty.ts";

const request = {
  sessionId: "8d7f2f3e-0d5c-4c3e-9d3a-0f1f1f1f1f1f",
  cols: 80,
  rows: 24,
  runAsRoot: true,
};
const F_DUPFD_CLOEXEC = 1030;
/** The longest path of the kernel's, and what its last part may have. */
const [MAX_PATH, MAX_NAME] = [4_095, 255];
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function inFolder(work: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "noderax-test-" });
  try {
    await work(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a session is taken up where it was left: what is on its way first, then the rest", () =>
  inFolder((folder) => {
    {
      using kept = KeptSession.create(folder, request);
      kept.spool.push(bytes("onetwothree"));
      assert.equal(text(kept.spool.take(3)), "one");
      kept.note({ onWayBytes: 3 });
      const ledger = { first: { seq: 1, inputs: 0 }, last: 4, ours: 2, numbering: {} };
      kept.arrived({ ledger, isOnWay: false, probes: 0 });
      assert.equal(text(kept.spool.take(3)), "two");
      kept.note({ onWayBytes: 3, inputs: 7, shell: "/bin/sh" });
    }
    const [only = ""] = keptFolders(folder);
    assert.equal((Deno.statSync(only).mode ?? 0) & 0o777, 0o700);
    assert.equal((Deno.statSync(join(only, "output")).mode ?? 0) & 0o777, 0o600);
    const kept = KeptSession.open(only);
    const { delivered, onWayBytes, inputs, shell, delivery } = kept.progress;
    assert.deepEqual([delivered, onWayBytes, inputs, shell], [3, 3, 7, "/bin/sh"]);
    assert.deepEqual(delivery?.ledger.first, { seq: 1, inputs: 0 });
    assert.deepEqual([kept.sessionId, kept.size], [request.sessionId, { cols: 80, rows: 24 }]);
    assert.equal(text(kept.spool.take(onWayBytes)), "two");
    assert.equal(text(kept.spool.take(kept.spool.bytes)), "three");
    kept.remove();
    assert.deepEqual(keptFolders(folder), []);
  }));

Deno.test("what is too long to be kept is an error, and what was kept before stays", () =>
  inFolder((folder) => {
    const more = { ...request, note: "x".repeat(5000) };
    const kept = KeptSession.create(folder, more);
    kept.note({ inputs: 3, shell: "/bin/sh" });
    assert.throws(() => kept.note({ shell: `/${"x".repeat(5000)}` }), RangeError);
    assert.equal(kept.progress.shell, "/bin/sh");
    kept.note({ inputs: 4 });
    kept[Symbol.dispose]();
    const again = KeptSession.open(kept.folder);
    assert.deepEqual([again.progress.inputs, again.progress.shell], [4, "/bin/sh"]);
    assert.deepEqual(again.progress.request, request);
    again.remove();
  }));

Deno.test("a session that cannot be kept leaves no folder", () =>
  inFolder((folder) => {
    // It is not too long for the folder, but for what belongs into it.
    let top = folder;
    const length = MAX_PATH - 3 - request.sessionId.length;
    while (top.length < length) {
      const room = length - 1 - top.length;
      top += `/${"d".repeat(Math.max(1, Math.min(MAX_NAME - 1, room)))}`;
    }
    assert.throws(() => KeptSession.create(top, request), /too long/);
    assert.deepEqual(keptFolders(top), []);
  }));

Deno.test("what is no pseudo terminal is closed, and nothing of it stays open", () =>
  inFolder(async (folder) => {
    using libc = openLibc();
    using spool = new OutputSpool(join(folder, "output"));
    const pipe = join(folder, "pipe");
    const fds = openUnitPty(pipe);
    const wrong = { master: fds.pipe, pipe: libc.symbols.fcntl(fds.pipe, F_DUPFD_CLOEXEC, 0) };
    libc.symbols.close(fds.master);
    assert.equal(await isOpen(pipe), true);
    assert.throws(() => new UnitPty(wrong, spool, () => {}), /TIOCGPTN/);
    await readinessClosed();
    assert.equal(await isOpen(pipe), false);
  }));

Deno.test("what has been delivered takes no room", () =>
  inFolder((folder) => {
    const path = join(folder, "output");
    using spool = new OutputSpool(path);
    for (let megabytes = 0; megabytes < 8; megabytes++) {
      spool.push(new Uint8Array(2 ** 20).fill(1));
      spool.take(2 ** 20);
      spool.release((megabytes + 1) * 2 ** 20);
    }
    const { size, blocks } = Deno.statSync(path);
    assert.equal(size, 8 * 2 ** 20);
    assert.ok((blocks ?? 0) * 512 <= 2 ** 16, `${blocks} blocks`);
  }));

Deno.test("a terminal goes on with the next byte when another agent takes it up", () =>
  inFolder(async (folder) => {
    using libc = openLibc();
    using spool = new OutputSpool(join(folder, "output"));
    const fds = openUnitPty(join(folder, "pipe"));
    // As the service manager does, the test holds them too.
    const copy = (fd: number) => libc.check(libc.symbols.fcntl(fd, F_DUPFD_CLOEXEC, 0), "fcntl");
    const kept = { master: copy(fds.master), pipe: copy(fds.pipe) };
    let grown = Promise.withResolvers<void>();
    const first = new UnitPty(fds, spool, () => grown.resolve());
    first.resize({ cols: 101, rows: 33 });
    const script = 'exec <"$1" >"$1" 2>&1; stty -echo; stty size; read x; echo "got $x"; exit 4';
    const shell = new Deno.Command("/bin/sh", {
      args: ["-c", script, "sh", first.path],
      detached: true,
    }).spawn();
    await grown.promise;
    first[Symbol.dispose]();

    grown = Promise.withResolvers();
    const second = new UnitPty(kept, spool, () => grown.resolve());
    assert.equal(second.path, first.path);
    second.write(bytes("a\n"));
    assert.equal((await shell.status).code, 4);
    await second.finish();
    await readinessClosed();
    assert.equal(text(spool.take(spool.bytes)), "33 101\r\ngot a\r\n");
  }));
