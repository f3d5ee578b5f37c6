import assert from "node:assert/strict";
import { join } from "@std/path";
import { AgentProcess, Fleet } from "./_agent.ts";
import { PATIENCE_MS } from "./_processes.ts";
import { outputOf } from "./_shell.ts";
import { together } from "./_together.ts";

const QUICK = { task_poll_interval: "500ms", heartbeat_interval: "1s" };

/** Binds a datagram socket and prints what comes, with the sender's process, as JSON lines. */
const LISTENER = `
import json, socket, struct, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print(json.dumps({"pid": 0, "text": "bound"}), flush=True)
while True:
    data, ancillary, _, _ = s.recvmsg(4096, socket.CMSG_SPACE(12))
    pid = struct.unpack("3i", ancillary[0][2])[0]
    print(json.dumps({"pid": pid, "text": data.decode()}), flush=True)
`;

interface Word {
  pid: number;
  text: string;
}

/** What a service manager hears on its socket. */
class Manager implements AsyncDisposable {
  readonly name: string;
  readonly words: Word[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #news = Promise.withResolvers<void>();

  private constructor(name: string) {
    this.name = name;
    this.#child = new Deno.Command("python3", {
      args: ["-c", LISTENER, name],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.#reading = this.#read();
  }

  static async listen(name: string): Promise<Manager> {
    const manager = new Manager(name);
    // The first word is the listener's own; somebody else may have said the next one by now.
    await manager.hears("bound");
    manager.words.shift();
    return manager;
  }

  /** Waits until somebody has said something that begins so; gives who. */
  async hears(start: string, limitMs = PATIENCE_MS): Promise<Word> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.reject(new Error(`"${start}" was not heard: ${JSON.stringify(this.words)}`));
    }, limitMs);
    try {
      for (;;) {
        const word = this.words.find(({ text }) => text.startsWith(start));
        if (word) return word;
        await Promise.race([this.#news.promise, late.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.words.push(JSON.parse(line));
      this.#news.resolve();
      this.#news = Promise.withResolvers<void>();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#reading;
  }
}

const CASES = {
  "the service manager hears of an agent's whole life, from the agent itself": async () => {
    await using fleet = await Fleet.start({ ...QUICK, shutdown_timeout: "5s" });
    const { controlPlane } = fleet;
    await using manager = await Manager.listen(join(fleet.folder, "notify.sock"));
    await using agent = await fleet.agent({
      NOTIFY_SOCKET: manager.name,
      WATCHDOG_USEC: "1500000",
    });
    const { pid } = await manager.hears("READY=1");
    assert.equal(pid, agent.pid, "its main process says so");
    await manager.hears("WATCHDOG=1");
    await manager.hears("STATUS=healthy, 0 tasks");
    const task = fleet.shell("sleep 1000");
    await manager.hears("STATUS=healthy, 1 task");
    await controlPlane.stop();
    await manager.hears("STATUS=unhealthy (the control plane does not answer");
    await controlPlane.start();
    await controlPlane.waitForTask(task, ["running"]);

    agent.signal("SIGTERM");
    await manager.hears("STOPPING=1\nSTATUS=stopping");
    const at = manager.words.length;
    assert.equal((await agent.ended()).code, 0);
    const draining = manager.words.slice(at).filter(({ text }) => text === "WATCHDOG=1");
    assert(draining.length >= 3, `it was fed ${draining.length} times while a task ended`);
    assert.deepEqual(manager.words.filter((word) => word.pid !== agent.pid), []);
    const ready = manager.words.filter(({ text }) => text.includes("READY=1"));
    assert.equal(ready.length, 1);
  },

  "a service manager that takes nothing at first hears that the agent is ready": async () => {
    await using fleet = await Fleet.start(QUICK);
    const socket = join(fleet.folder, "late.sock");
    await using agent = await fleet.agent({ NOTIFY_SOCKET: socket });
    await agent.waitForLog("service manager cannot be notified");
    await using manager = await Manager.listen(socket);
    assert.equal((await manager.hears("READY=1")).pid, agent.pid);
    await manager.hears("STATUS=healthy, 0 tasks");
  },

  "an agent that waits for its approval is ready, and says so; an abstract name will do":
    async () => {
      await using fleet = await Fleet.start();
      const { controlPlane } = fleet;
      const response = await fetch(`${controlPlane.url}/api/v1/enrollments/initiate`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ email: "me@example.com", hostname: "machine" }),
      });
      const { token } = await response.json();
      await fleet.configure({ node_id: "", agent_token: "", enrollment_token: token });
      await using manager = await Manager.listen(`@noderax-test-${crypto.randomUUID()}`);
      await using agent = fleet.spawnAgent({
        NOTIFY_SOCKET: manager.name,
        WATCHDOG_USEC: "1500000",
      });
      await manager.hears("READY=1");
      await manager.hears("STATUS=waiting for approval");
      await manager.hears("WATCHDOG=1");
      await using status = new AgentProcess(fleet.configFile, { args: ["status"] });
      assert.equal((await status.ended()).code, 0);
      const said = status.otherOutput.join("\n");
      assert.match(said, /is degraded: the enrollment is awaiting approval/);
      assert(!said.includes(token));
      controlPlane.approve(token);
      await agent.waitForLog("agent started");
      await manager.hears("STATUS=healthy, 0 tasks");
      assert.equal((await agent.stop()).code, 0);
      await manager.hears("STOPPING=1");
      const texts = manager.words.map(({ text }) => text).filter((text) => text !== "WATCHDOG=1");
      assert.equal(texts.filter((text) => text.startsWith("READY=1")).length, 1);
    },

  "a socket of nobody's is warned of once, and no task sees what the agent was given": async () => {
    await using fleet = await Fleet.start(QUICK);
    const temp = join(fleet.stateFolder, "tmp");
    await using agent = await fleet.agent({
      NOTIFY_SOCKET: join(fleet.folder, "nobody.sock"),
      WATCHDOG_USEC: "300000",
      WATCHDOG_PID: "",
      STATE_DIRECTORY: fleet.stateFolder,
      TMPDIR: temp,
    });
    const lines = (await outputOf(fleet, "env")).split("\n");
    const given = /^(NOTIFY_SOCKET|WATCHDOG_|STATE_DIRECTORY|TMPDIR)/;
    assert.deepEqual(lines.filter((line) => given.test(line)), []);
    await fleet.controlPlane.waitFor(
      () =>
        fleet.controlPlane.requests.filter(({ path }) => path.endsWith("/heartbeat")).length > 2,
    );
    assert.equal(agent.logged("service manager cannot be notified").length, 1);
    assert.equal((await agent.stop()).code, 0);
  },

  "a temp folder that is everybody's is the tasks' too": async () => {
    await using fleet = await Fleet.start(QUICK);
    await using _agent = await fleet.agent({
      STATE_DIRECTORY: fleet.stateFolder,
      TMPDIR: fleet.folder,
    });
    assert.equal(await outputOf(fleet, "echo $TMPDIR"), fleet.folder);
  },
};

const hasPython = await new Deno.Command("python3", { args: ["-c", ""] }).output()
  .then(({ success }) => success, () => false);
Deno.test({
  name: "what the agent and its service manager tell each other" +
    (hasPython ? "" : " (ignored: there is no python3 to listen with)"),
  ignore: !hasPython,
  fn: () => together(CASES),
});
