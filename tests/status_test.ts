import assert from "node:assert/strict";
import { dirname, join } from "@std/path";
import { socketPaths } from "../src/health/status_client.ts";
import { AgentProcess, Fleet } from "./_agent.ts";
import { Desk, type Said } from "./_cli.ts";
import { eventually, PATIENCE_MS } from "./_processes.ts";
import { liveAgent, realtimeFleet } from "./_realtime.ts";
import { together } from "./_together.ts";

const QUICK = { task_poll_interval: "500ms", heartbeat_interval: "1s" };

/** A machine with an agent, whose service is what the test says. */
class Place implements AsyncDisposable {
  readonly fleet: Fleet;
  readonly #desk: Desk;

  private constructor(fleet: Fleet, desk: Desk) {
    this.fleet = fleet;
    this.#desk = desk;
  }

  static async make(fleet: Fleet, service = "exit 1"): Promise<Place> {
    const desk = await Desk.set();
    await desk.tool("systemctl", service);
    return new Place(fleet, desk);
  }

  get socket(): string {
    return join(this.fleet.stateFolder, "agent.sock");
  }

  /** What a subcommand of `status` says. */
  status(...args: string[]): Promise<Said> {
    return this.#desk.says(["status", ...args], { NODERAX_CONFIG_FILE: this.fleet.configFile });
  }

  /** Waits until `status --check` says so. */
  async checks(expected: RegExp, code: number): Promise<void> {
    let last: Said | undefined;
    const look = async () => {
      last = await this.status("--check");
      return expected.test(last.stdout) && last.code === code;
    };
    const story = () => Promise.resolve(JSON.stringify(last));
    await eventually(`--check to say ${expected}`, look, PATIENCE_MS, story);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#desk[Symbol.asyncDispose]();
    await this.fleet[Symbol.asyncDispose]();
  }
}

/** The last address that an agent serves its metrics at. */
async function metricsUrl(agent: AgentProcess): Promise<string> {
  const { url } = await agent.waitForLog("metrics are served");
  return String(url);
}

async function socketThere(path: string): Promise<void> {
  await eventually("the socket", () => Deno.stat(path).catch(() => undefined));
}

/** Connects to a socket once for each of `words`, says them, and hangs until it is killed. */
async function intrude(path: string, words: string[]): Promise<AsyncDisposable> {
  const script = `
    for (const each of ${JSON.stringify(words)}) {
      const connection = await Deno.connect({ transport: "unix", path: ${JSON.stringify(path)} });
      await connection.write(new TextEncoder().encode(each)).catch(() => {});
    }
    console.log("there");
    setInterval(() => {}, 60_000);`;
  const command = new Deno.Command(Deno.execPath(), { args: ["eval", script], stdout: "piped" });
  const child = command.spawn();
  const reader = child.stdout.getReader();
  assert(!(await reader.read()).done, "the intruder has failed");
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}

const CASES = {
  "a healthy agent says how it is": async () => {
    const service = "printf '%s\\n' LoadState=loaded ActiveState=active SubState=running " +
      "UnitFileState=enabled 'StateChangeTimestamp=Thu 2026-01-01 00:00:00 UTC' MainPID=1 NRestarts=2 Result=success";
    await using place = await Place.make(await realtimeFleet(), service);
    const { fleet } = place;
    await using agent = await liveAgent(fleet);
    const id = fleet.shell("sleep 1000");
    await fleet.controlPlane.waitForTask(id, ["running"]);
    await fleet.ended(fleet.shell("false"));
    fleet.controlPlane.realtime.openTerminal({ cols: 80, rows: 24 });
    await agent.waitForLog("terminal opened");

    // What has ended may still be being put away.
    const { code, stdout } = await eventually("one task, and none to be reported", async () => {
      const said = await place.status();
      return said.stdout.includes(" 1 running, 0 reporting\n") ? said : undefined;
    });
    assert.equal(code, 0);
    for (
      const expected of [
        /^noderax-agent \S+ is healthy\.\n/,
        /\nService +active \(running\) since 2026-01-01 00:00:00 UTC.*systemd: 2\n/,
        new RegExp(`\\nProcess +${agent.pid}, started `),
        new RegExp(`\\nNode +${fleet.nodeId}\\n`),
        new RegExp(`\\nControl plane +${fleet.controlPlane.url} answers\\n +last heartbeat \\d+s`),
        /\n +last claim \d+s ago\n/,
        /\nRealtime +up for /,
        new RegExp(`\\nTasks +1 running, 0 reporting\\n +${id} shell\\.exec, `),
        /\n +since the start: 0 succeeded, 1 did not\n/,
        /\nTerminals +1 open\n/,
        new RegExp(`\\nConfiguration +${fleet.configFile}\\nState +${fleet.stateFolder}\\n$`),
      ]
    ) assert.match(stdout, expected);
    // The documentation shows it with the same rows.
    const page = await Deno.readTextFile(new URL("../docs/operations.md", import.meta.url));
    const sample = /^noderax-agent \S+ is healthy\.\n[^]*?(?=^```$)/m.exec(page)?.[0] ?? "";
    const labels = (text: string) => text.match(/^\S+( \S+)*(?= {2})/gm);
    assert.deepEqual(labels(sample), labels(stdout));

    const json = JSON.parse((await place.status("--json")).stdout);
    assert.equal(json.running, true);
    assert.equal(json.service.restarts, 2);
    assert.equal(json.agent.tasks.running[0].id, id);
    assert(!JSON.stringify(json).includes(fleet.agentToken));
    const { code: checked, stdout: line } = await place.status("--check");
    assert.deepEqual([checked, line], [0, "healthy\n"]);
  },

  "what is not delivered is told, and a control plane that is away": async () => {
    await using place = await Place.make(await Fleet.start(QUICK));
    const { fleet } = place;
    await using _agent = await fleet.agent();
    await place.checks(/^healthy$/m, 0);
    fleet.controlPlane.fault({ path: "/logs", hang: true });
    fleet.shell("seq 1000");
    await eventually("a task that has ended, but is not reported", async () => {
      const { agent: { tasks } } = JSON.parse((await place.status("--json")).stdout);
      const { running, reporting, ended, backlogBytes } = tasks;
      if (ended.success === 0) return false;
      // 9 numbers of one digit, 90 of two, 900 of three, one of four, and their newlines.
      assert.deepEqual([running, reporting, backlogBytes], [[], 1, 18 + 270 + 3_600 + 5]);
      return true;
    });
    await fleet.controlPlane.stop();
    await place.checks(/^unhealthy: the control plane does not answer: .*refused.*\n$/, 1);
    // Heartbeats and claims see it one after the other.
    const { code, stdout } = await eventually("a claim that was refused", async () => {
      const said = await place.status();
      const isTold = /last claim (\d+m)?\d+s ago; failed \d+s ago: .*refused/.test(said.stdout);
      return isTold ? said : undefined;
    });
    assert.equal(code, 0, "the agent runs");
    assert.match(stdout, /is unhealthy for \S+: the control plane does not answer/);
    assert.match(stdout, /Control plane +\S+ does not answer\n/);
    await fleet.controlPlane.start();
    await place.checks(/^healthy$/m, 0);
  },

  "an agent whose realtime session is down is not ready": async () => {
    await using place = await Place.make(await realtimeFleet({ realtime_path: "/nowhere/" }));
    await using agent = await place.fleet.agent();
    await agent.waitForLog("realtime connection failed");
    await place.checks(/^degraded: realtime is down: transport dial failure: .*\n$/, 1);
    const { code, stdout } = await place.status();
    assert.equal(code, 0);
    assert.match(stdout, /\nRealtime +down for \S+: transport dial failure: /);
  },

  "a killed agent's socket is of no matter to status and to the next agent": async () => {
    await using place = await Place.make(await Fleet.start());
    const { fleet, socket } = place;
    {
      await using agent = await fleet.agent();
      await place.checks(/^healthy$/m, 0);
      const { mode } = await Deno.stat(socket);
      assert.equal((mode ?? 0) & 0o777, 0o600);
      await agent.kill();
    }
    assert((await Deno.stat(socket)).isSocket, "it is left behind");
    const { code, stdout } = await place.status();
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^noderax-agent is unhealthy: the agent does not run\.\n {2}fix: noderax-agent run\n\nService +this machine has no systemd/,
    );
    assert.match(stdout, new RegExp(`Node +${fleet.nodeId}\n`));
    assert.match(stdout, /Control plane +\S+ answers\n/);
    await place.checks(/^unhealthy: the agent does not run .*run\)\n$/, 1);
    const json = JSON.parse((await place.status("--json")).stdout);
    assert.deepEqual([json.running, json.agent, json.service], [false, null, null]);
    {
      await using agent = await fleet.agent();
      await place.checks(/^healthy$/m, 0);
      await using second = fleet.spawnAgent();
      assert.equal((await second.ended()).code, 1, "the folder is taken");
      await place.checks(/^healthy$/m, 0);
      assert.equal((await agent.stop()).code, 0);
    }
    await assert.rejects(Deno.stat(socket), Deno.errors.NotFound);
    const names = await Array.fromAsync(Deno.readDir(fleet.stateFolder), ({ name }) => name);
    assert(!names.includes(".new"), names.join());
  },

  "an agent that stands still is unhealthy, and that is said in time": async () => {
    await using place = await Place.make(await Fleet.start());
    await using agent = await place.fleet.agent();
    await place.checks(/^healthy$/m, 0);
    agent.signal("SIGSTOP");
    const { code, stdout } = await place.status("--check");
    assert.deepEqual([code, stdout], [
      1,
      "unhealthy: the agent does not answer: no answer within 2 s (fix: sudo noderax-agent restart)\n",
    ]);
    const { code: plain, stdout: text } = await place.status();
    assert.equal(plain, 0);
    assert.match(text, /runs, but does not say how it is: no answer within 2 s/);
    agent.signal("SIGCONT");
    await place.checks(/^healthy$/m, 0);
  },

  "hostile clients hold up neither answers nor the agent's stop": async () => {
    await using place = await Place.make(await Fleet.start());
    const { socket } = place;
    await using agent = await place.fleet.agent();
    await place.checks(/^healthy$/m, 0);
    const words = [
      "",
      "GET /status HTTP/1.1\r\nHo",
      "\0\x01\x02\xff rubbish\r\n\r\n",
      "GET /status HTTP/1.1\r\nHost: ][\r\n\r\n",
      "POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx",
      "GET /../../etc/passwd HTTP/1.0\r\n\r\n",
      `GET /${"x".repeat(100_000)} HTTP/1.1\r\n`,
      "GET /status HTTP/1.1\r\nHost: x\r\n\r\n".repeat(200),
    ];
    await using _intruder = await intrude(socket, [...words, ...Array<string>(50).fill("")]);
    await place.checks(/^healthy$/m, 0);
    const startedMs = performance.now();
    assert.equal((await agent.stop()).code, 0);
    const tookMs = performance.now() - startedMs;
    assert(tookMs < PATIENCE_MS, `the stop took ${tookMs} ms`);
    assert.deepEqual(agent.logged("unexpected error, the agent goes on"), []);
    assert.deepEqual(agent.otherOutput.filter((line) => !line.includes("experimental")), []);
  },

  "a folder for the runtime goes first": async () => {
    await using fleet = await Fleet.start();
    const runtime = join(fleet.folder, "run");
    await using agent = await fleet.agent({ RUNTIME_DIRECTORY: runtime });
    await socketThere(join(runtime, "agent.sock"));
    await assert.rejects(Deno.stat(join(fleet.stateFolder, "agent.sock")), Deno.errors.NotFound);
    await agent.stop();
  },

  "a path that is too long for a socket gives way to another, where status looks": async () => {
    await using place = await Place.make(await Fleet.start());
    const { fleet } = place;
    const far = join(fleet.folder, "x".repeat(100));
    {
      await using _agent = await fleet.agent({ RUNTIME_DIRECTORY: far });
      await place.checks(/^healthy$/m, 0);
    }
    await fleet.configure({ state_file: join(far, "agent_identity.json") });
    await using agent = await fleet.agent();
    await place.checks(/^healthy$/m, 0);
    assert.deepEqual(agent.logged("status cannot be served"), []);
    const [short = ""] = socketPaths(join(far, "agent_identity.json"), true);
    assert.equal(((await Deno.stat(dirname(short))).mode ?? 0) & 0o777, 0o700);
    await agent.stop();
    await assert.rejects(Deno.stat(dirname(short)), Deno.errors.NotFound);
  },

  "metrics are served to the machine itself only, and without /status": async () => {
    const config = { metrics_listen: "127.0.0.1:0", heartbeat_interval: "1h" };
    await using fleet = await Fleet.start(config);
    await using agent = await fleet.agent();
    await fleet.ended(fleet.shell("true"));
    const url = await metricsUrl(agent);
    await eventually("the task's and the heartbeat's count", async () => {
      const text = await (await fetch(url)).text();
      return /^noderax_agent_tasks_total\{status="success"\} 1$/m.test(text) &&
        /^noderax_agent_heartbeats_total\{result="answered"\} 1$/m.test(text);
    });
    const response = await fetch(url);
    assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    const samples = new Map(
      (await response.text()).split("\n").filter((line) => line && !line.startsWith("#"))
        .map((line): [string, number] => {
          const [, name = "", value = ""] = /^([a-z_]+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
          return [name, Number(value)];
        }),
    );
    assert(samples.size > 15 && ![...samples.values()].some(Number.isNaN));
    assert((samples.get("process_resident_memory_bytes") ?? 0) > 1e7);
    assert.equal(samples.get('noderax_agent_heartbeats_total{result="answered"}'), 1);
    const at = (path: string, init?: RequestInit) => fetch(new URL(path, url), init);
    const codes = await Promise.all(
      ["/healthz", "/readyz", "/status", "/", "/metrics/.."].map(async (path) => {
        const { status, body } = await at(path);
        await body?.cancel();
        return status;
      }),
    );
    assert.deepEqual(codes, [200, 200, 404, 404, 404]);
    const post = await at("/metrics", { method: "POST", body: "x" });
    assert.deepEqual([post.status, await post.text()], [405, "Use GET.\n"]);

    const { hostname, port } = new URL(url);
    await using stranger = await Deno.connect({ hostname, port: Number(port) });
    const request =
      "GET /metrics HTTP/1.1\r\nHost: rebound.example.com\r\nConnection: close\r\n\r\n";
    await stranger.write(new TextEncoder().encode(request));
    const answer = await new Response(stranger.readable).text();
    assert.match(answer, /^HTTP\/1\.1 403 /);
    assert(!answer.includes("noderax_agent_"));
  },

  "clients that stay cost few descriptors, and keep nobody else out": async () => {
    await using fleet = await Fleet.start({ metrics_listen: "127.0.0.1:0" });
    await using agent = await fleet.agent();
    const { hostname, port } = new URL(await metricsUrl(agent));
    const clients: Deno.Conn[] = [];
    try {
      while (clients.length < 300) {
        clients.push(await Deno.connect({ hostname, port: Number(port) }));
      }
      const { status, body } = await fetch(`http://${hostname}:${port}/healthz`);
      await body?.cancel();
      assert.equal(status, 200);
      const { stdout } = await new Deno.Command("ls", { args: [`/proc/${agent.pid}/fd`] }).output();
      const descriptors = new TextDecoder().decode(stdout).trim().split("\n").length;
      assert(descriptors > 10 && descriptors < 150, `there are ${descriptors}`);
      assert.equal((await fleet.ended(fleet.shell("true"))).status, "success");
    } finally {
      for (const client of clients) client.close();
    }
  },

  "an agent that runs out of descriptors serves again when it has some": async () => {
    await using place = await Place.make(await Fleet.start({ metrics_listen: "127.0.0.1:0" }));
    await using agent = await place.fleet.agent();
    const url = await metricsUrl(agent);
    await place.checks(/^healthy$/m, 0);
    const limit = async (soft: string) => {
      const args = ["--pid", String(agent.pid), `--nofile=${soft}:`];
      assert((await new Deno.Command("prlimit", { args }).output()).success);
    };
    await limit("5");
    await place.checks(/^unhealthy: /, 1);
    await assert.rejects(fetch(url, { signal: AbortSignal.timeout(2_000) }));
    await limit("1000");
    await place.checks(/^healthy$/m, 0);
    assert.match(await (await fetch(url)).text(), /^noderax_agent_health\{state="healthy"\} 1$/m);
  },

  "a port that is in use is warned of, and the agent goes on": async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const address = `127.0.0.1:${listener.addr.port}`;
    await using fleet = await Fleet.start({ metrics_listen: address });
    await using agent = await fleet.agent();
    await agent.waitForLog("metrics cannot be served", (event) => event.address === address);
    assert.equal((await fleet.ended(fleet.shell("true"))).status, "success");
  },

  "a configuration that cannot be used is no reason to say nothing": async () => {
    await using desk = await Desk.set();
    await desk.tool("systemctl", "echo LoadState=not-found; echo ActiveState=inactive");
    await desk.write("config.json", "{ no");
    const { stdout, stderr, code } = await desk.says(["status"]);
    assert.match(stdout, /^noderax-agent may run, but its configuration does not say where\.\n/);
    assert.match(stdout, /\nService +not installed\n/);
    assert.match(stdout, /\nConfiguration +\S+ is not valid JSON: correct it at line 1/);
    assert.deepEqual([stderr, code], ["", 1]);
    const json = JSON.parse((await desk.says(["status", "--json"])).stdout);
    assert.deepEqual([json.outcome, json.running], ["unknown", false]);
    assert.match(json.problem, /is not valid JSON/);
    const check = await desk.says(["status", "--check"]);
    assert.match(
      check.stdout,
      /^unknown: the agent may run, but where is not known: .* not valid/,
    );
    assert.equal(check.code, 1);
    const folder = { NODERAX_CONFIG_FILE: desk.file(".") };
    assert.match((await desk.says(["status"], folder)).stdout, /^noderax-agent may run, /);
    await desk.write("config.json", { state_file: 1, log_level: "info" });
    assert.match(
      (await desk.says(["status"])).stdout,
      /^noderax-agent may run, [^]*state_file is 1/,
    );
  },

  "a bad value does not hide an agent that runs": async () => {
    await using place = await Place.make(await Fleet.start());
    const { fleet } = place;
    await using _agent = await fleet.agent();
    await place.checks(/^healthy$/m, 0);
    await fleet.configure({ log_level: "loud", api_url: 1 });
    await place.checks(/^healthy$/m, 0);
    const { stdout, code } = await place.status();
    assert.match(stdout, /^noderax-agent \S+ is healthy\.\n/);
    assert.match(stdout, /\nConfiguration +api_url is 1 .*\n +log_level is "loud" /);
    assert.equal(code, 0);
    await fleet.configure({ log_level: "loud", state_file: join(fleet.folder, "none", "id.json") });
    await place.checks(/^unhealthy: the agent does not run/, 1);
  },
};

Deno.test("status, health and metrics of an agent", () => together(CASES));

const root = Deno.uid() === 0;
Deno.test({
  name: "who must not ask the agent is told that root may" +
    (root ? "" : " (ignored: only root can become somebody else)"),
  ignore: !root,
  fn: async () => {
    await using fleet = await Fleet.start();
    await using agent = await fleet.agent();
    const socket = join(fleet.stateFolder, "agent.sock");
    await socketThere(socket);
    await Deno.chown(socket, 65534, 65534);
    // Without capabilities, root is a user like others.
    const stranger = async (...args: string[]) => {
      const through = ["setpriv", "--bounding-set=-all"];
      const options = { args: ["status", ...args], through };
      await using command = new AgentProcess(fleet.configFile, options);
      const { code } = await command.ended();
      return { code, text: command.otherOutput.join("\n") };
    };
    const plain = await stranger();
    assert.match(plain.text, /may run; only root may ask it how it is: sudo noderax-agent status/);
    assert.equal(plain.code, 1);
    const check = await stranger("--check");
    assert.match(check.text, /unknown: only its own user and root may ask the agent/);
    assert.equal(check.code, 1);
    await agent.stop();
  },
});

Deno.test("after a reload, what needs a restart holds as it was, and is named as waiting", async () => {
  const quick = { ...QUICK, metrics_listen: "127.0.0.1:0" };
  await using place = await Place.make(await Fleet.start(quick));
  await using agent = await place.fleet.agent();
  const url = await metricsUrl(agent);
  await place.fleet.configure({ ...quick, run_as_user: "nobody", realtime_enabled: true });
  agent.signal("SIGHUP");
  const { needsRestart } = await agent.waitForLog("configuration reloaded");
  assert.deepEqual(needsRestart, ["realtime_enabled", "run_as_user"]);
  const status = JSON.parse((await place.status("--json")).stdout);
  assert.deepEqual(status.agent.needsRestart, needsRestart);
  assert.equal(status.agent.runAsUser, undefined);
  assert.equal(status.agent.realtime.enabled, false);
  const { stdout } = await place.status();
  assert.match(stdout, /waits for a restart: realtime_enabled, run_as_user\n/);
  assert.match(stdout, /run_as_user is not set/);
  const metrics = await (await fetch(new URL("/metrics", url))).text();
  assert.match(metrics, /\nnoderax_agent_config_keys_pending_restart 2\n/);
  await place.fleet.configure(quick);
  agent.signal("SIGHUP");
  await agent.waitForLog("configuration reloaded", (event) => !event.needsRestart);
  assert.doesNotMatch((await place.status()).stdout, /waits for a restart/);
});
