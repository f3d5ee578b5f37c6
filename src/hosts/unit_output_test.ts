import assert from "node:assert/strict";
import { join } from "@std/path";
import { cString, O_RDWR, openLibc } from "../system/libc.ts";
import { withFifos } from "./_test_fifos.ts";
import { UnitOutput } from "./unit_output.ts";

const SET_PIPE_SIZE = 1031;

/** Writes so much into the FIFO of standard output of a folder that its output is read from. */
function print(folder: string, bytes: Uint8Array): void {
  using fifo = Deno.openSync(join(folder, "stdout"), { read: true, write: true });
  for (let at = 0; at < bytes.length; at += fifo.writeSync(bytes.subarray(at)));
}

/** Makes a FIFO larger that somebody has open; whether that is allowed. */
function enlarge(path: string, bytes: number): boolean {
  using libc = openLibc();
  const fd = libc.check(libc.symbols.open(cString(path), O_RDWR, 0), path);
  try {
    return libc.symbols.fcntl(fd, SET_PIPE_SIZE, bytes) >= bytes;
  } finally {
    libc.symbols.close(fd);
  }
}

Deno.test("however much is printed, the agent gets to do other things meanwhile", async () => {
  await withFifos(async (folder) => {
    const output = new UnitOutput(folder, undefined);
    print(folder, new Uint8Array(1 << 18));
    output.drain();
    let [turns, read] = [0, 0];
    let next = setImmediate(function turn() {
      turns++;
      next = setImmediate(turn);
    });
    for await (const { bytes } of output) {
      read += bytes.length;
      if (read < 1 << 18) continue;
      assert.ok(turns > 0, "nothing else was done");
    }
    clearImmediate(next);
    assert.equal(read, 1 << 18);
  });
});

Deno.test("a store that cannot be opened once is used as soon as it can be", async () => {
  await withFifos(async (folder) => {
    const kept = join(folder, "kept");
    const path = join(kept, "t-1.stdout");
    let offset = 0;
    const output = new UnitOutput(folder, {
      placeOf: () => ({ path, offset }),
      note: (_stream, bytes) => {
        offset += bytes.length;
        return Promise.resolve();
      },
    });
    const printed: [text: string, isKept: boolean][] = [];
    print(folder, new TextEncoder().encode("first"));
    for await (const { bytes, isKept = false } of output) {
      printed.push([new TextDecoder().decode(bytes), isKept]);
      if (printed.length > 1) break;
      await Deno.mkdir(kept);
      print(folder, new TextEncoder().encode("second"));
    }
    assert.deepEqual(printed, [["first", false], ["second", true]]);
    assert.equal(await Deno.readTextFile(path), "second");
  });
});

Deno.test("all that is left in a pipe which its task has made larger is read (where it may)", async () => {
  await withFifos(async (folder) => {
    const output = new UnitOutput(folder, undefined);
    // Whoever lacks CAP_SYS_RESOURCE may not: no pipe is larger then.
    const bytes = enlarge(join(folder, "stdout"), 4 << 20) ? 3 << 20 : 1 << 20;
    print(folder, new Uint8Array(bytes));
    output.drain();
    let read = 0;
    for await (const chunk of output) read += chunk.bytes.length;
    assert.equal(read, bytes);
  });
});

Deno.test("a store that is slow is written to beside all else, and all of it is there", async () => {
  await withFifos(async (folder) => {
    const path = join(folder, "t-1.stdout");
    let [offset, nowMs] = [0, 0];
    const store = {
      placeOf: () => ({ path, offset }),
      note: (_stream: string, bytes: Uint8Array) => Promise.resolve(void (offset += bytes.length)),
    };
    // Each look at the clock is a second later than the one before.
    const output = new UnitOutput(folder, store, () => nowMs += 1_000);
    const text = Array.from({ length: 50_000 }, (_, at) => `line ${at}\n`).join("");
    print(folder, new TextEncoder().encode(text));
    output.drain();
    let read = "";
    for await (const { bytes, isKept } of output) {
      assert.ok(isKept);
      read += new TextDecoder().decode(bytes);
    }
    assert.equal(read, text);
    assert.equal(await Deno.readTextFile(path), text);
  });
});
