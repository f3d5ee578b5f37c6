import assert from "node:assert/strict";
import { join } from "./_fake_link.ts";
import { Pty } from "./pty.ts";
import { MAX_WAITING_INPUT } from "./pty_input.ts";
import { openTty } from "./tty.ts";

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

Deno.test("Backspace takes a whole character back, not its last byte", async () => {
  const chunks: Uint8Array[] = [];
  const pty = await Pty.open(SIZE, (bytes) => chunks.push(bytes));
  pty.write(new TextEncoder().encode("aü\x7fb\n"));
  await runOn(pty, "head -n 1 | od -An -tx1").status;
  await pty.finish();
  assert.match(new TextDecoder().decode(join(chunks)), /61 62 0a/);
});

Deno.test("Ctrl-C reaches a program that reads nothing, whatever was pasted before", async () => {
  const chunks: Uint8Array[] = [];
  const pty = await Pty.open(SIZE, (bytes) => chunks.push(bytes));
  // The shell is put in the foreground as the leader of the terminal's session.
  const script =
    "stty -echo; trap 'echo interrupted' INT; echo up; sleep 60; read -r line; echo got:$line";
  const args = ["--ctty", "/bin/sh", "-c", `exec >"$0" 2>&1; ${script}`, pty.path];
  const shell = new Deno.Command("/bin/sh", {
    args: ["-c", 'exec setsid "$@" <"$0"', pty.path, ...args],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const text = () => new TextDecoder().decode(join(chunks));
  const until = async (what: string) => {
    while (!text().includes(what)) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await until("up");
  pty.write(new TextEncoder().encode("pasted line\n".repeat(20_000)));
  pty.write(new Uint8Array([3]));
  await until("interrupted");
  // None of what was pasted is taken for what is typed now.
  pty.write(new TextEncoder().encode("typed\n"));
  await until("got:");
  assert.match(text(), /got:typed\r\n/);
  await shell.status;
  await pty.finish();
});

Deno.test("input that nobody reads is bounded", async () => {
  using pty = await Pty.open(SIZE, () => {});
  assert.equal(pty.write(new Uint8Array(MAX_WAITING_INPUT / 2 + 100_000)), true);
  assert.equal(pty.write(new Uint8Array(MAX_WAITING_INPUT / 2)), false);
});

/** How many descriptors of a process belong to the terminal `path`, on either side of it. */
async function descriptors(process: string, path: string): Promise<number> {
  const script = `
grep -l "^tty-index:[[:space:]]*$2$" /proc/$1/fdinfo/* 2>/dev/null
ls -l /proc/$1/fd | grep "pts/$2$"
exit 0`;
  const args = ["-c", script, "sh", process, path.slice(path.lastIndexOf("/") + 1)];
  const { stdout } = await new Deno.Command("/bin/sh", { args }).output();
  return new TextDecoder().decode(stdout).split("\n").length - 1;
}

Deno.test("children that are started later do not inherit a terminal", async () => {
  const ptys = await Promise.all([1, 2, 3].map(() => Pty.open(SIZE, () => {})));
  for (const { path } of ptys) {
    assert(await descriptors(`${Deno.pid}`, path) > 0, "the look finds what is open");
    assert.equal(await descriptors("self", path), 0, "in a child");
  }
  for (const pty of ptys) pty[Symbol.dispose]();
});

Deno.test("no descriptor of a closed terminal is left", async () => {
  const left: number[] = [];
  for (let i = 0; i < 5; i++) {
    const pty = await Pty.open(SIZE, () => {});
    await pty.finish();
    left.push(await descriptors(`${Deno.pid}`, pty.path));
  }
  // A test beside this one may have got the number of one of them at once, but not of all.
  assert(left.includes(0), `${left}`);
});

Deno.test("of a terminal that cannot be used no descriptor is left", async () => {
  const left: number[] = [];
  for (let i = 0; i < 5; i++) {
    let path = "";
    const blind = () => ({ ...openTty(), terminalName: () => undefined });
    await assert.rejects(Pty.open(SIZE, () => {}, blind), ({ message }: Error) => {
      path = /\/dev\/pts\/\d+/.exec(message)?.[0] ?? "";
      return /cannot be found/.test(message);
    });
    left.push(await descriptors(`${Deno.pid}`, path));
  }
  assert(left.includes(0), `${left}`);
});
