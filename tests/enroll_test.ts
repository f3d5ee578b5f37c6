import assert from "node:assert/strict";
import { join } from "@std/path";
import { type ControlPlane, startControlPlane } from "../scripts/dev/control_plane.ts";
import { agentCommand } from "./_command.ts";
import { sh } from "./_second_user.ts";
import { mayMount } from "./_small_disk.ts";

const ADDRESS = "me@example.com";

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** A machine of its own: a folder with a configuration and an identity file, and a control plane. */
class Machine implements AsyncDisposable {
  readonly #folder: string;
  readonly cp: ControlPlane;
  readonly config: string;
  readonly state: string;

  private constructor(folder: string, cp: ControlPlane) {
    this.#folder = folder;
    this.cp = cp;
    this.config = join(folder, "config.json");
    this.state = join(folder, "data", "agent_identity.json");
  }

  static async make(content: Record<string, unknown> = {}): Promise<Machine> {
    const folder = await Deno.makeTempDir({ prefix: "enroll_" });
    const machine = new Machine(folder, await startControlPlane());
    const { cp, state } = machine;
    const all = { api_url: cp.url, state_file: state, ...content };
    await Deno.writeTextFile(machine.config, JSON.stringify(all), { mode: 0o644 });
    return machine;
  }

  /** Starts the real command. */
  start(args: string[], env: Record<string, string> = {}): Deno.ChildProcess {
    return agentCommand(args, {
      env: { NODERAX_CONFIG_FILE: this.config, ...env },
      stdin: "piped",
    }).spawn();
  }

  /** Runs the command with this input to its end. */
  async run(args: string[], input = "", env: Record<string, string> = {}): Promise<Ended> {
    return await end(this.start(args, env), input);
  }

  /** Begins an enrollment, and leaves it as an interrupted `enroll` does. */
  async beginPending(): Promise<string> {
    const response = await fetch(`${this.cp.url}/api/v1/enrollments/initiate`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email: ADDRESS, hostname: Deno.hostname() }),
    });
    const { token } = await response.json();
    await this.setPending(token);
    return token;
  }

  async setPending(token: string): Promise<void> {
    const content = { ...await this.saved(), enrollment_token: token };
    await Deno.writeTextFile(this.config, JSON.stringify(content));
  }

  /** Resolves when the approval was asked for, so the token is saved by then. */
  async firstQuestion(): Promise<void> {
    const asked = () => this.cp.requests.some(({ method, status }) => method === "GET" && status);
    await this.cp.waitFor(asked, { what: "the first question after the enrollment" });
  }

  async saved(): Promise<Record<string, unknown>> {
    return JSON.parse(await Deno.readTextFile(this.config));
  }

  async identity(): Promise<Record<string, unknown>> {
    return JSON.parse(await Deno.readTextFile(this.state));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cp[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** What enrollments, asked for or not, the control plane has heard of. */
function initiated(cp: ControlPlane): number {
  return cp.requests.filter(({ path }) => path.endsWith("/initiate")).length;
}

Deno.test("what could not be kept is not asked for", async () => {
  await using machine = await Machine.make();
  // In the way of what is tried.
  await Deno.mkdir(`${machine.state}.probe`, { recursive: true });
  const { code, stderr } = await machine.run(["enroll", "--email", ADDRESS]);
  assert.equal(code, 1);
  assert.match(stderr, /identity\.json could not be written .*: nothing was asked of the control/);
  assert.equal(initiated(machine.cp), 0);
});

Deno.test({
  name:
    "a configuration that is a mount of its own is written in its place (needs the right to mount)",
  ignore: !await mayMount(),
  fn: async () => {
    await using machine = await Machine.make();
    await sh('mount --bind "$1" "$1"', machine.config);
    try {
      const child = machine.start(["enroll", "--email", ADDRESS]);
      const ending = end(child);
      const enrollment = await machine.cp.waitFor(() => machine.cp.enrollments[0], {
        what: "the enrollment",
      });
      machine.cp.approve(enrollment.token);
      const { code, stderr } = await ending;
      assert.equal(code, 0, stderr);
      assert.equal((await machine.saved()).node_id, (await machine.identity()).node_id);
    } finally {
      await sh('umount "$1"', machine.config);
    }
  },
});

async function end(child: Deno.ChildProcess, input = ""): Promise<Ended> {
  const writer = child.stdin.getWriter();
  // A command that asks nothing may have ended already.
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

async function modeOf(path: string): Promise<number> {
  return ((await Deno.stat(path)).mode ?? 0) & 0o777;
}

/** Runs cases side by side, each with a machine of its own; all that fail are named. */
async function sideBySide(cases: Record<string, () => Promise<void>>): Promise<void> {
  const failures: Error[] = [];
  await Promise.all(
    Object.entries(cases).map(async ([name, body]) => {
      await body().catch((cause) => failures.push(new Error(name, { cause })));
    }),
  );
  if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("; "));
}

Deno.test("enroll asks until it hears an address, waits, and saves the identity once", async () => {
  await using machine = await Machine.make({ mine: { kept: [1, 2] } });
  const { cp } = machine;
  const asked = machine.run(["enroll"], `\nnobody\nme@\n  Me@Example.com \n`);
  await cp.waitFor(() => cp.enrollments.length === 1, { what: "the enrollment" });
  const [enrollment] = cp.enrollments;
  assert.ok(enrollment);
  cp.approve(enrollment.token);
  const { code, stdout, stderr } = await asked;
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /An email address is needed\.\n.*"nobody" is not an email.*\n.*"me@" is not/,
  );
  assert.ok(stdout.includes(`Enrollment token: ${enrollment.token}\n`));
  assert.match(stdout, /Now approve .* in the Noderax web app, signed in as Me@Example\.com/);
  assert.match(stdout, /start the agent with `noderax-agent run`/);
  assert.ok(stdout.includes(machine.state));
  assert.ok(!stdout.includes("\x1b"));
  assert.equal(stderr.match(/unknown keys.*mine/g)?.length, 1);

  const { registered_at, ...credentials } = await machine.identity();
  assert.ok(!Number.isNaN(Date.parse(String(registered_at))));
  assert.deepEqual(await machine.saved(), {
    api_url: cp.url,
    state_file: machine.state,
    mine: { kept: [1, 2] },
    ...credentials,
  });
  assert.ok(!stdout.includes(String(credentials.agent_token)));
  assert.deepEqual([await modeOf(machine.state), await modeOf(machine.config)], [0o600, 0o600]);
  assert.equal(enrollment.email, "me@example.com");
  assert.deepEqual(Object.keys(enrollment.additionalInfo ?? {}).sort(), [
    "agentVersion",
    "arch",
    "kernelVersion",
    "os",
    "platformVersion",
  ]);

  const twice = await machine.run(["enroll"]);
  assert.equal(twice.code, 0);
  assert.match(twice.stdout, /^This machine is already enrolled as node (\S+)\.\n.*enroll --again/);
  const firstNode = String(credentials.node_id);
  assert.ok(twice.stdout.includes(firstNode));
  assert.equal(cp.enrollments.length, 1);

  cp.deleteNode(firstNode);
  cp.options.autoApprove = true;
  const again = await machine.run(["enroll", "--again", "--email", ADDRESS]);
  assert.equal(again.code, 0, again.stderr);
  const renewed = await machine.identity();
  assert.notEqual(renewed.node_id, firstNode);
  assert.equal((await machine.saved()).node_id, renewed.node_id);
  assert.deepEqual(cp.violations, []);
});

Deno.test("what a person can fix is one sentence and an exit code", () =>
  sideBySide({
    async "a wrong --email"() {
      await using machine = await Machine.make();
      const { code, stderr } = await machine.run(["enroll", "--email", "nobody"]);
      assert.equal(code, 2);
      assert.match(stderr, /noderax-agent: --email is "nobody", but must be an address/);
      assert.equal(machine.cp.requests.length, 0);
    },
    async "no answer to the question"() {
      await using machine = await Machine.make();
      const { code, stderr } = await machine.run(["enroll"], "nobody\n");
      assert.equal(code, 1);
      assert.match(stderr, /No email address was given/);
    },
    async "no api_url"() {
      await using machine = await Machine.make({ api_url: "" });
      const { code, stderr } = await machine.run(["enroll", "--email", ADDRESS]);
      assert.equal(code, 1);
      assert.match(stderr, /api_url is not set: .*config\.json, or as NODERAX_API_URL/);
    },
    async "a control plane that is away"() {
      await using machine = await Machine.make();
      await machine.cp.stop();
      const { code, stderr } = await machine.run(["enroll", "--email", ADDRESS]);
      assert.equal(code, 1);
      assert.match(stderr, /noderax-agent: http:\S+ cannot be reached \(.*\): check api_url/);
      assert.doesNotMatch(stderr, /\n\s+at /);
    },
    async "words that would command the terminal"() {
      await using machine = await Machine.make();
      const body = { statusCode: 400, path: "/", message: "no \x1b[31mway" };
      machine.cp.fault({ path: "/enrollments/initiate", status: 400, body });
      const { code, stderr } = await machine.run(["enroll", "--email", ADDRESS]);
      assert.equal(code, 1);
      assert.match(stderr, /refused the enrollment \(no  ?\[31mway\)/);
    },
    async "run before enroll"() {
      await using machine = await Machine.make();
      const { code, stderr } = await machine.run([]);
      assert.equal(code, 1);
      assert.match(stderr, /This machine is not enrolled: run `noderax-agent enroll`/);
    },
    async "an unknown command"() {
      await using machine = await Machine.make();
      const { code, stderr } = await machine.run(["enrol"]);
      assert.equal(code, 2);
      assert.match(stderr, /noderax-agent: unknown command 'enrol' \(did you mean enroll\?\)/);
    },
    async "an unknown option"() {
      await using machine = await Machine.make();
      assert.equal((await machine.run(["run", "--fast"])).code, 2);
    },
    async "a certificate file that is none"() {
      await using machine = await Machine.make({ api_tls_ca_file: "/nowhere/ca.pem" });
      const { code, stderr } = await machine.run(["enroll", "--email", ADDRESS]);
      assert.equal(code, 1);
      assert.match(stderr, /api_tls_ca_file is \/nowhere\/ca\.pem, which cannot be used/);
    },
  }));

Deno.test("a damaged identity file stops enroll and run, and stays as it is", () =>
  sideBySide(Object.fromEntries([["enroll", "--email", ADDRESS], ["run"]].map((args) => [
    args.join(" "),
    async () => {
      const pair = { node_id: "n", agent_token: "t" };
      await using machine = await Machine.make(args[0] === "run" ? pair : {});
      const bytes = Uint8Array.of(123, 34, 0, 255, 10);
      await Deno.mkdir(join(machine.state, ".."));
      await Deno.writeFile(machine.state, bytes);
      const { code, stderr } = await machine.run(args);
      assert.equal(code, 1);
      assert.ok(stderr.includes(`${machine.state} is not valid JSON: restore it`), stderr);
      assert.deepEqual(await Deno.readFile(machine.state), bytes);
      assert.equal(machine.cp.requests.length, 0);
    },
  ]))));

/** The states an enrollment can end in, what `run` says of them, and whether `enroll` starts anew. */
const ENDS: [string, (cp: ControlPlane, token: string) => void, RegExp, boolean][] = [
  ["revoked", (cp, token) => cp.revoke(token), /The enrollment was revoked/, true],
  ["expired", (cp, token) => cp.expire(token), /The enrollment expired before/, true],
  ["rejected", (cp, token) => cp.reject(token), /The enrollment was rejected in/, false],
  ["unknown", (cp, path) => void cp.fault({ path, status: 404 }), /does not know this/, true],
];

Deno.test("an enrollment that has ended: run says how, enroll starts anew where that helps", () =>
  sideBySide(Object.fromEntries(ENDS.map(([name, bringAbout, sentence, startsAnew]) => [
    name,
    async () => {
      await using machine = await Machine.make();
      const { cp } = machine;
      const token = await machine.beginPending();
      bringAbout(cp, token);
      const run = await machine.run(["run"]);
      assert.equal(run.code, 1);
      assert.match(run.stderr, sentence);
      assert.ok(!(run.stdout + run.stderr).includes(token));
      assert.ok(!("enrollment_token" in await machine.saved()));

      await machine.setPending(token);
      cp.options.autoApprove = true;
      const enroll = await machine.run(["enroll"], `${ADDRESS}\n`);
      assert.match(enroll.stdout, /Continuing the pending enrollment/);
      assert.ok(!("enrollment_token" in await machine.saved()));
      if (startsAnew) {
        assert.equal(enroll.code, 0, enroll.stderr);
        assert.match(enroll.stdout, new RegExp(`no longer be used \\(${name}\\): a new one`));
        assert.ok((await machine.identity()).node_id);
      } else {
        assert.equal(enroll.code, 1);
        assert.match(enroll.stderr, sentence);
      }
    },
  ]))));

Deno.test("a wait that is interrupted, or cut off from the control plane, loses nothing", () =>
  sideBySide({
    async "Ctrl-C, then enroll goes on"() {
      await using machine = await Machine.make();
      const { cp } = machine;
      const child = machine.start(["enroll", "--email", ADDRESS]);
      await machine.firstQuestion();
      child.kill("SIGINT");
      const { code, stderr } = await end(child);
      assert.equal(code, 130);
      assert.match(stderr, /the token is kept in .*config\.json, and `noderax-agent enroll` or/);
      const { enrollment_token: token } = await machine.saved();
      assert.equal(token, cp.enrollments[0]?.token);
      cp.approve(String(token));
      const enroll = await machine.run(["enroll"]);
      assert.equal(enroll.code, 0, enroll.stderr);
      assert.equal(cp.enrollments.length, 1);
      assert.equal((await machine.identity()).node_id, (await machine.saved()).node_id);
    },
    async "Ctrl-C before the control plane has answered"() {
      await using machine = await Machine.make({ request_timeout: "100s" });
      const { cp } = machine;
      cp.fault({ path: "/enrollments/initiate", hang: true });
      const child = machine.start(["enroll", "--email", ADDRESS]);
      await cp.waitFor(() => cp.requests.length === 1, { what: "the first call" });
      const killedAtMs = performance.now();
      child.kill("SIGINT");
      const { code, stderr } = await end(child);
      assert.equal(code, 130);
      assert.ok(performance.now() - killedAtMs < 60_000, "it did not wait for the call's limit");
      assert.match(stderr, /noderax-agent: Stopped before the enrollment was started\.\n$/);
      assert.ok(!("enrollment_token" in await machine.saved()));
    },
    async "SIGTERM, then run goes on"() {
      await using machine = await Machine.make();
      const { cp } = machine;
      const child = machine.start(["enroll", "--email", ADDRESS]);
      await machine.firstQuestion();
      child.kill("SIGTERM");
      assert.equal((await end(child)).code, 143);
      const token = String((await machine.saved()).enrollment_token);
      cp.approve(token);
      const agent = machine.start(["run"], { LOG_LEVEL: "debug" });
      const claims = () => cp.requests.some(({ path }) => path.endsWith("/agent/tasks/claim"));
      await cp.waitFor(claims, { what: "the first claim" });
      assert.ok(!("enrollment_token" in await machine.saved()));
      const { agent_token } = await machine.identity();
      agent.kill("SIGTERM");
      const { code, stdout, stderr } = await end(agent);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /"msg":"enrollment is awaiting approval"/);
      for (const secret of [token, String(agent_token)]) {
        assert.ok(!(stdout + stderr).includes(secret));
      }
    },
    async "run is told to stop while it waits"() {
      await using machine = await Machine.make();
      const token = await machine.beginPending();
      const agent = machine.start(["run"]);
      await machine.firstQuestion();
      agent.kill("SIGTERM");
      const { code, stdout } = await end(agent);
      assert.equal(code, 0);
      assert.match(stdout, /its token is kept/);
      assert.equal((await machine.saved()).enrollment_token, token);
    },
    async "the control plane goes away and comes back"() {
      await using machine = await Machine.make();
      const { cp } = machine;
      const child = machine.start(["enroll", "--email", ADDRESS]);
      const ended = end(child);
      await machine.firstQuestion();
      await cp.stop();
      cp.approve(cp.enrollments[0]?.token ?? "");
      {
        // Stands in for it until one more question has come and found nobody to answer it.
        using listener = Deno.listen({ hostname: "127.0.0.1", port: cp.port });
        (await listener.accept()).close();
      }
      await cp.start();
      const { code, stderr } = await ended;
      assert.equal(code, 0, stderr);
      assert.ok((await machine.identity()).node_id);
    },
  }));

Deno.test("bootstrap makes a machine a node by a token, and asks nobody", async () => {
  await using machine = await Machine.make();
  const { cp, config, state } = machine;
  await Deno.remove(config);
  const flags = ["--config-file", config, "--state-file", state, "--log-level", "debug"];
  const bootstrap = (...args: string[]) =>
    machine.run(["bootstrap", "--non-interactive", ...args], "", { NODERAX_CONFIG_FILE: "" });

  const none = await bootstrap(...flags, "--api-url", cp.url);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /needs --bootstrap-token/);

  const wrong = "a-token-that-nobody-made";
  const refused = await bootstrap(...flags, "--api-url", cp.url, "--bootstrap-token", wrong);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /Bootstrap token was not/);
  assert.doesNotMatch(refused.stdout + refused.stderr, /nobody-made/);
  await assert.rejects(Deno.stat(config), Deno.errors.NotFound);

  const token = cp.addInstall();
  const done = await bootstrap(...flags, "--api-url", cp.url, "--bootstrap-token", token);
  assert.equal(done.code, 0, done.stderr);
  const [node] = cp.nodes;
  assert.ok(node);
  assert.deepEqual(await machine.saved(), {
    api_url: cp.url,
    state_file: state,
    log_level: "debug",
    node_id: node.nodeId,
    agent_token: node.agentToken,
  });
  assert.equal((await machine.identity()).node_id, node.nodeId);
  assert.ok(!(done.stdout + done.stderr).includes(token));

  const again = await bootstrap("--config-file", config, "--bootstrap-token", cp.addInstall());
  assert.equal(again.code, 0);
  assert.match(again.stdout, /the bootstrap token is not used/);
  assert.equal(cp.nodes.length, 1);
});
