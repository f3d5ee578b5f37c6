import assert from "node:assert/strict";
import { delay } from "@std/async";
import { join } from "@std/path";
import { FakeSystemd } from "../hosts/_test_fake_systemd.ts";
import { asAgent } from "../privileges/launch.ts";
import { cString, O_CLOEXEC, O_RDWR, openLibc } from "../system/libc.ts";
import { Logger } from "../system/logger.ts";
import { readinessClosed } from "../system/readiness.ts";
import type { UnitProperty } from "../system/service_manager.ts";
import { Variant } from "../system/bus_message.ts";
import { isOpen } from "./_test_open.ts";
import { KeptSession } from "./kept_session.ts";
import { startUnitShell } from "./unit_shell.ts";
import { UnitTerminals, type UnitTerminalsOptions } from "./unit_terminals.ts";

const SIGHUP = 1;
const request = { sessionId: crypto.randomUUID(), cols: 80, rows: 24, runAsRoot: true };
const unit = `noderax-terminal-${request.sessionId}.service`;
const names = [`terminal-${request.sessionId}`, `pipe-${request.sessionId}`];

/** What an earlier agent has left: a session with its shell, its unit and its two descriptors. */
class Left implements AsyncDisposable {
  readonly systemd = new FakeSystemd();
  readonly folder = Deno.makeTempDirSync({ prefix: "noderax-test-" });
  /** The descriptors that are kept. */
  readonly kept = new Set(names);

  constructor() {
    this.systemd.listed = [unit];
    this.systemd.begin();
    using session = KeptSession.create(this.folder, request);
    session.note({ shell: "/bin/sh" });
  }

  open(options: Partial<UnitTerminalsOptions> = {}): Promise<UnitTerminals> {
    return UnitTerminals.open({
      manager: this.systemd,
      store: {
        left: [...this.kept],
        take: () => undefined,
        keep: () => Promise.resolve(),
        forget: (name) => void this.kept.delete(name),
        [Symbol.dispose]: () => {},
      },
      folder: this.folder,
      environment: {},
      startsUnits: true,
      takesUp: true,
      lookEveryMs: 1,
      logger: new Logger({ write: () => {} }),
      ...options,
    });
  }

  /** Resolves when nothing is kept, and the unit is gone. */
  async nothing(): Promise<void> {
    while (this.kept.size > 0 || !this.systemd.stopped.includes(unit)) await delay(1);
    assert.deepEqual([...Deno.readDirSync(this.folder)], []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

Deno.test("a session is taken up also by an agent that starts no units", async () => {
  await using left = new Left();
  using place = await left.open({ startsUnits: false });
  assert.deepEqual(place.left.map(({ sessionId }) => sessionId), [request.sessionId]);
  assert.equal(place.create({ ...request, sessionId: crypto.randomUUID() }), undefined);
  assert.deepEqual([left.systemd.signals, left.kept.size], [[], 2]);
  place.left.forEach((kept) => kept[Symbol.dispose]());
});

Deno.test("a shell that nobody can have any more is ended, with its unit, and nothing stays", async () => {
  const ways: Record<string, (left: Left) => Promise<UnitTerminals>> = {
    "an agent without sessions": (left) => left.open({ takesUp: false }),
    "a terminal that was lost": (left) => {
      left.kept.delete(names[0] ?? "");
      return left.open();
    },
    "a record that cannot be read": (left) => {
      Deno.writeTextFileSync(join(left.folder, request.sessionId, "session.json"), "{");
      return left.open();
    },
  };
  for (const [name, open] of Object.entries(ways)) {
    await using left = new Left();
    using place = await open(left);
    await left.nothing();
    assert.deepEqual([place.left.length, left.systemd.signals], [0, [SIGHUP]], name);
  }
});

Deno.test("what a shell has left in the background lives on, and its unit goes with the last of it", async () => {
  await using left = new Left();
  using place = await left.open();
  const [kept] = place.left;
  assert.ok(kept);
  left.systemd.end({ code: 0 });
  left.systemd.isRunning = true;
  await place.close(kept);
  assert.deepEqual([left.systemd.signals, left.systemd.stopped, left.kept.size], [[], [], 0]);
  left.systemd.isRunning = false;
  await left.nothing();
});

Deno.test("a terminal that cannot be taken up again leaves no descriptor", async () => {
  await using left = new Left();
  const pipe = join(left.folder, request.sessionId, "pipe");
  using libc = openLibc();
  libc.check(libc.symbols.mkfifo(cString(pipe), 0o600), pipe);
  const fds = names.map(() => libc.symbols.open(cString(pipe), O_RDWR | O_CLOEXEC, 0));
  const ways = new Map(names.map((name, at) => [name, fds[at]]));
  const store = {
    left: names,
    take: (name: string) => ways.get(name),
    keep: () => Promise.resolve(),
    forget: (name: string) => void left.kept.delete(name),
    [Symbol.dispose]: () => {},
  };
  assert.equal(await isOpen(pipe), true);
  using place = await left.open({ store });
  const [kept] = place.left;
  assert.ok(kept);
  const { signal } = new AbortController();
  await assert.rejects(place.open(kept, { size: kept.size, signal }), /TIOCGPTN/);
  assert.equal(await isOpen(pipe), false);
  await place.close(kept);
  await left.nothing();
  assert.deepEqual(left.systemd.signals, [SIGHUP]);
  await readinessClosed();
});

/** A systemd whose unit says the words of a shell, and ends at once. */
class Hasty extends FakeSystemd {
  /** What the unit was launched with. */
  text = "";

  override startTransient(name: string, properties: readonly UnitProperty[]): Promise<string> {
    const fdOf = (name: string) => {
      const [, value] = properties.find(([each]) => each === name) ?? [];
      return value instanceof Variant ? Number(value.value) : -1;
    };
    using libc = openLibc();
    const bytes = new Uint8Array(65_536);
    const input = fdOf("StandardInputFileDescriptor");
    const read = Number(libc.symbols.pread(input, bytes, BigInt(bytes.length), 0n));
    this.text = new TextDecoder().decode(bytes.subarray(0, read));
    const words = new TextEncoder().encode("/bin/hasty\n");
    libc.symbols.write(fdOf("StandardOutputFileDescriptor"), words, BigInt(words.length));
    return super.startTransient(name, properties).then((result) => {
      this.end({ code: 7 });
      return result;
    });
  }
}

Deno.test("a shell that ends at once has started; root's has the way to the world", async () => {
  const start = async (uid: number) => {
    const manager = new Hasty();
    const shell = await startUnitShell({
      manager,
      path: "/dev/pts/0",
      sessionId: request.sessionId,
      launch: (command) => {
        const { argv, env = {} } = command;
        return { ...asAgent(command), inUnit: { argv, env, user: { name: "x", uid } } };
      },
      environment: { HTTPS_PROXY: "http://proxy:3128" },
      signal: new AbortController().signal,
    });
    assert.equal(shell.path, "/bin/hasty");
    assert.equal((await shell.status).code, 7);
    return manager.text;
  };
  assert.match(await start(0), /export HTTPS_PROXY='http:\/\/proxy:3128'/);
  assert.doesNotMatch(await start(1000), /HTTPS_PROXY/);
  await readinessClosed();
});
