import assert from "node:assert/strict";
import { join } from "@std/path";
import { DescriptorStore } from "./descriptor_store.ts";
import { cString, openLibc } from "./libc.ts";
import { Logger } from "./logger.ts";

/** Takes what is sent: prints each message, the number of its descriptors and what the first leads to. */
const MANAGER = `
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    data, ancillary, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(64))
    fds = array.array("i")
    for _, _, bytes in ancillary: fds.frombytes(bytes)
    leads = os.readlink("/proc/self/fd/%d" % fds[0]) if fds else ""
    print(data.decode().replace("\\n", " "), len(fds), leads.split(":")[0], flush=True)
    for fd in fds: os.close(fd)
`;

const hasPython = await new Deno.Command("python3", { args: ["-c", ""] }).output()
  .then(({ success }) => success, () => false);

Deno.test({
  name: "a descriptor is kept when the service manager has taken it, by its name" +
    (hasPython ? "" : " (ignored: there is no python3 to listen with)"),
  ignore: !hasPython,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "noderax-test-" });
    const address = join(folder, "notify");
    const logger = new Logger({ write: () => {} });
    const env = (name: string) => name === "NOTIFY_SOCKET" ? address : undefined;
    using store = DescriptorStore.open(env, logger);
    assert(store);
    // It takes nothing for a moment, as while it executes itself anew.
    const early = store.keep("early", 0);
    const manager = new Deno.Command("python3", {
      args: ["-c", MANAGER, address],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const lines = manager.stdout.pipeThrough(new TextDecoderStream()).values();
    let heard = "";
    const hears = async (line: string) => {
      while (!heard.includes(line)) heard += (await lines.next()).value;
    };
    try {
      await early;
      await hears("FDSTORE=1 FDNAME=early FDPOLL=0 1");
      using libc = openLibc();
      const fd = libc.symbols.open(cString("/dev/null"), 0, 0);
      await store.keep("pty-1", fd);
      libc.symbols.close(fd);
      await hears("FDSTORE=1 FDNAME=pty-1 FDPOLL=0 1 /dev/null\nBARRIER=1 1 pipe\n");
      store.forget("pty-1");
      await hears("FDSTOREREMOVE=1 FDNAME=pty-1 0 \nBARRIER=1 1 pipe\n");
      // More at once than may wait for it.
      const names = Array.from({ length: 64 }, (_, at) => `pty-${at}`);
      await Promise.all(names.map((name) => store.keep(name, 0)));
      for (const name of names) store.forget(name);
      await hears("FDSTOREREMOVE=1 FDNAME=pty-63 0 \nBARRIER=1 1 pipe\n");
    } finally {
      manager.kill("SIGKILL");
      await manager.status;
      await lines.return?.();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("what an earlier process has left is taken by its name, once; another's is not", () => {
  const logger = new Logger({ write: () => {} });
  const open = (pid: number) => {
    const env = new Map([
      ["NOTIFY_SOCKET", "/nowhere"],
      ["LISTEN_PID", String(pid)],
      ["LISTEN_FDS", "2"],
      ["LISTEN_FDNAMES", "pty-1:pipe-1"],
    ]);
    return DescriptorStore.open((name) => env.get(name), logger);
  };
  using other = open(Deno.pid + 1);
  assert.deepEqual(other?.left, []);
  using store = open(Deno.pid);
  assert.deepEqual(store?.left, ["pty-1", "pipe-1"]);
  assert.equal(store.take("pipe-1"), 4);
  assert.equal(store.take("pipe-1"), undefined);
  assert.deepEqual(store.left, ["pty-1"]);
});
