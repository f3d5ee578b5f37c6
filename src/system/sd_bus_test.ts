import assert from "node:assert/strict";
import { delay } from "@std/async";
import { BusClosedError } from "./bus_message.ts";
import { openReadiness, readinessClosed } from "./readiness.ts";
import { SdBus } from "./sd_bus.ts";
import { ServiceManager } from "./service_manager.ts";

Deno.test("nobody at the address: the message says what cannot be reached", () => {
  assert.throws(
    () => new SdBus("unix:path=/nowhere/at/all", () => {}),
    (error) => error instanceof BusClosedError && /nowhere|libsystemd/.test(error.message),
  );
});

Deno.test("a machine without systemd: a sentence says why there is no service manager", () => {
  const manager = ServiceManager.open("unix:path=/nowhere/at/all");
  assert(typeof manager === "string");
  assert.match(
    manager,
    /only root may start units|systemd cannot be reached: .*(nowhere|libsystemd)/,
  );
});

Deno.test("a call costs no more the more there were before it", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const served = serve(listener);
  try {
    let waits = 0;
    const readiness = openReadiness();
    const wait = (fd: number, events?: number) => {
      waits++;
      return readiness.wait(fd, events);
    };
    using bus = new SdBus(`tcp:host=127.0.0.1,port=${port}`, () => {}, { ...readiness, wait });
    const call = { destination: "a.b", path: "/a", face: "a.b", member: "Look" };
    for (let n = 0; n < CALLS; n++) assert.deepEqual(await bus.call(call), []);
    // One for what is to be sent, one for the answer, and those of the connection.
    assert.ok(waits < 3 * CALLS, `${waits} waits for ${CALLS} calls`);
  } finally {
    listener.close();
    await served;
    await readinessClosed();
  }
});

Deno.test({
  name: "a start whose answer is lost is done when its job is (needs root, who may ask for it)",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const jobs = [7, 7, 0];
    const answer = (serial: number, call: string) => {
      if (call.includes("StartTransientUnit")) return refusal(serial, `${SYSTEMD}.UnitExists`);
      if (call.includes("Properties")) return jobOfUnit(serial, jobs.shift() ?? 0);
      return answerTo(serial);
    };
    const isLost = (call: string) => call.includes("StartTransientUnit");
    const served = serve(listener, (serial, call) => isLost(call) ? undefined : answerTo(serial))
      .then(() => serve(listener, answer));
    try {
      const manager = ServiceManager.open(`tcp:host=127.0.0.1,port=${listener.addr.port}`);
      assert.ok(manager instanceof ServiceManager);
      using _manager = manager;
      assert.equal(await manager.startTransient("a.service", []), "done");
      assert.deepEqual(jobs, []);
    } finally {
      listener.close();
      await served;
      await readinessClosed();
    }
  },
});

const SYSTEMD = "org.freedesktop.systemd1";
const CALLS = 50;
/** What a server says to a client that comes as who it is. */
const WELCOME = `DATA\r\nOK ${"0".repeat(32)}\r\n`;

/** Answers each call of one client, with nothing if nothing is said, until it leaves or there is no answer. */
async function serve(
  listener: Deno.TcpListener,
  answer: (serial: number, call: string) => Uint8Array | undefined = answerTo,
): Promise<void> {
  using connection = await listener.accept();
  let bytes: Uint8Array<ArrayBuffer> = new Uint8Array();
  let isWelcome = false;
  for await (const chunk of connection.readable) {
    bytes = new Uint8Array([...bytes, ...chunk]);
    if (!isWelcome) {
      const text = new TextDecoder("latin1").decode(bytes);
      const end = text.indexOf("BEGIN\r\n");
      if (end < 0) continue;
      isWelcome = true;
      await connection.write(new TextEncoder().encode(WELCOME));
      bytes = bytes.slice(end + "BEGIN\r\n".length);
    }
    for (let length; (length = messageLength(bytes)) <= bytes.length; bytes = bytes.slice(length)) {
      const call = new TextDecoder("latin1").decode(bytes.slice(0, length));
      const answered = answer(new DataView(bytes.buffer).getUint32(8, true), call);
      if (!answered) return;
      await connection.write(answered);
    }
  }
}

/** The length of the message that comes first: its header, the fields, and the body. */
function messageLength(bytes: Uint8Array<ArrayBuffer>): number {
  if (bytes.length < 16) return Infinity;
  const view = new DataView(bytes.buffer);
  const [body, fields] = [view.getUint32(4, true), view.getUint32(12, true)];
  return 16 + Math.ceil(fields / 8) * 8 + body;
}

/** An empty answer to the call of that number. */
function answerTo(serial: number): Uint8Array {
  return message(serial, METHOD_RETURN, []);
}

/** The answer that a call was refused. */
function refusal(serial: number, name: string): Uint8Array {
  return message(serial, ERROR, [4, ...signature("s"), ...string(name)]);
}

/** The answer that a unit has that job; 0 for none. */
function jobOfUnit(serial: number, id: number): Uint8Array {
  const body = [...signature("(uo)"), 0, 0, id, 0, 0, 0, ...string("/job")];
  return message(serial, METHOD_RETURN, [8, ...signature("g"), ...signature("v")], body);
}

const [METHOD_RETURN, ERROR] = [2, 3];

/** An answer with one more field of the header, and a body. */
function message(serial: number, type: number, field: number[], body: number[] = []): Uint8Array {
  const ends = 16 + 8 + field.length;
  const answer = new Uint8Array(Math.ceil(ends / 8) * 8 + body.length);
  const [LITTLE_ENDIAN, VERSION, REPLY_SERIAL] = ["l".charCodeAt(0), 1, 5];
  answer.set([LITTLE_ENDIAN, type, 0, VERSION]);
  const view = new DataView(answer.buffer);
  view.setUint32(4, body.length, true);
  view.setUint32(8, serial, true);
  view.setUint32(12, 8 + field.length, true);
  answer.set([REPLY_SERIAL, ...signature("u")], 16);
  view.setUint32(20, serial, true);
  answer.set(field, 24);
  answer.set(body, answer.length - body.length);
  return answer;
}

function signature(text: string): number[] {
  return [text.length, ...new TextEncoder().encode(text), 0];
}

function string(text: string): number[] {
  return [text.length, 0, 0, 0, ...new TextEncoder().encode(text), 0];
}

/** Listens at a path until its standard input ends. */
const LISTENER = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); " +
  "s.listen(); sys.stdin.read()";
const hasPython = await new Deno.Command("python3", { args: ["-c", ""] }).output()
  .then(({ success }) => success, () => false);

Deno.test({
  name: "a start finds systemd also while it executes itself anew (needs root, who may ask it)" +
    (hasPython ? "" : " (ignored: there is no python3 to listen with)"),
  ignore: Deno.uid() !== 0 || !hasPython,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "bus_" });
    const address = `unix:path=${folder}/private`;
    assert.match(String(await ServiceManager.reach(address, 1)), /systemd cannot be reached/);
    const reached = ServiceManager.reach(address, 60_000);
    const args = ["-c", LISTENER, `${folder}/private`];
    const listener = new Deno.Command("python3", { args, stdin: "piped" }).spawn();
    const manager = await reached;
    assert.ok(manager instanceof ServiceManager);
    manager[Symbol.dispose]();
    await listener.stdin.close();
    await listener.status;
    await readinessClosed();
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name:
    "many who wait for systemd do not keep the agent from all else (needs root, who may ask it)" +
    (hasPython ? "" : " (ignored: there is no python3 to listen with)"),
  ignore: Deno.uid() !== 0 || !hasPython,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "bus_" });
    const address = `unix:path=${folder}/private`;
    const msOf = async (work: () => unknown) => {
      const startMs = performance.now();
      await work();
      return performance.now() - startMs;
    };
    const args = ["-c", LISTENER, `${folder}/private`];
    const listener = new Deno.Command("python3", { args, stdin: "piped" }).spawn();
    const manager = await ServiceManager.reach(address, 60_000);
    assert.ok(manager instanceof ServiceManager);
    await listener.stdin.close();
    await listener.status;
    const tryMs = Math.max(
      ...await Promise.all([1, 2, 3].map(() => msOf(() => ServiceManager.open(address)))),
    );
    const ended: Promise<unknown>[] = [];
    // On a loaded machine a turn that comes late says nothing about them.
    let isFree = false;
    for (let tries = 0; tries < 5 && !isFree; tries++) {
      const calls = Array.from({ length: 100 }, () => manager.property("a.service", "Unit", "Job"));
      ended.push(Promise.allSettled(calls));
      isFree = true;
      for (let turns = 0; turns < 10; turns++) {
        if (await msOf(() => delay(10)) >= 30 * tryMs) isFree = false;
      }
    }
    assert.ok(isFree, "each of them tries by itself");
    manager[Symbol.dispose]();
    await Promise.all(ended);
    await readinessClosed();
    await Deno.remove(folder, { recursive: true });
  },
});
