import assert from "node:assert/strict";
import { join } from "./_fake_link.ts";
import { MAX_WAITING_INPUT, Pty } from "./pty.ts";

const SIZE = { cols: 80, rows: 24 };

/** Runs a shell script on a terminal; its own standard output is the path of the terminal. */
function runOn(pty: Pty, script: string): Deno.ChildProcess {
  return new Deno.Command("/bin/sh", {
    args: ["-c", `exec <"$0" >"$0" 2>&1; ${script}`, pty.path],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
}

Deno.test("the last bytes before an end are read, also when the reader has paused", async () => {
  const expected = Array.from({ length: 3000 }, (_, i) => `${i + 1}\r\n`).join("") + "last";
  for (let round = 0; round < 20; round++) {
    const chunks: Uint8Array[] = [];
    const pty = await Pty.open(SIZE, (bytes) => chunks.push(bytes));
    if (round % 2) pty.pause();
    // Of a paused terminal only what the kernel's buffer holds can be written.
    const child = runOn(pty, round % 2 ? "seq 1 300; printf last" : "seq 1 3000; printf last");
    await child.status;
    await pty.finish();
    const text = new TextDecoder().decode(join(chunks));
    if (round % 2) assert.ok(text.endsWith("300\r\nlast"), text.slice(-50));
    else assert.equal(text, expected);
  }
});

Deno.test("a large input is read completely, although the program starts late", async () => {
  const pty = await Pty.open(SIZE, () => {});
  const file = await Deno.makeTempFile();
  const lines = Array.from({ length: 12_000 }, (_, i) => `${i} ${"x".repeat(90)}`).join("\n");
  try {
    const child = runOn(pty, `stty -echo; sleep 0.2; cat >${file}`);
    assert.ok(pty.write(new TextEncoder().encode(lines + "\n")));
    assert.ok(pty.write(new Uint8Array([4])));
    await child.status;
    assert.equal(await Deno.readTextFile(file), lines + "\n");
  } finally {
    await pty.finish();
    await Deno.remove(file);
  }
});

Deno.test("input that nobody reads is bounded", async () => {
  using pty = await Pty.open(SIZE, () => {});
  assert.equal(pty.write(new Uint8Array(MAX_WAITING_INPUT / 2 + 100_000)), true);
  assert.equal(pty.write(new Uint8Array(MAX_WAITING_INPUT / 2)), false);
});

Deno.test("children that are started later do not inherit a terminal", async () => {
  const ptys = await Promise.all([1, 2, 3].map(() => Pty.open(SIZE, () => {})));
  const command = new Deno.Command("/bin/sh", { args: ["-c", "ls -l /proc/self/fd"] });
  const { stdout } = await command.output();
  assert.doesNotMatch(new TextDecoder().decode(stdout), /ptmx|pts/);
  for (const pty of ptys) pty[Symbol.dispose]();
});

Deno.test("no descriptor of a closed terminal is left", async () => {
  const count = async () => {
    const args = ["-c", `ls -l /proc/${Deno.pid}/fd | grep -cE 'ptmx|pts/'`];
    const { stdout } = await new Deno.Command("/bin/sh", { args }).output();
    return Number(new TextDecoder().decode(stdout));
  };
  const before = await count();
  for (let i = 0; i < 5; i++) await (await Pty.open(SIZE, () => {})).finish();
  assert.equal(await count(), before);
});
