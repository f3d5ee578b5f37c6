import assert from "node:assert/strict";
import { join } from "@std/path";
import * as z from "@zod/zod";
import { type ControlPlane, startControlPlane } from "../../scripts/dev/control_plane.ts";
import { saveConfig } from "../config/mod.ts";
import { readIdentity } from "../identity/identity_file.ts";
import { UserError } from "../system/user_error.ts";
import { makeBundle, TestMachine } from "./_test_machine.ts";
import { installAgent, type InstallOptions } from "./install.ts";
import { findRelease } from "./release.ts";
import { installEnv } from "./settings.ts";
import { purgedParts, uninstallAgent } from "./uninstall.ts";

const Told = z.object({
  stage: z.string(),
  status: z.string(),
  progressPercent: z.number().optional(),
  statusMessage: z.string().max(500),
});

/** A machine with systemd, a release for it, and a control plane. */
class World implements AsyncDisposable {
  readonly machine: TestMachine;
  readonly cp: ControlPlane;
  readonly warnings: string[] = [];
  shown = "";

  private constructor(machine: TestMachine, cp: ControlPlane) {
    this.machine = machine;
    this.cp = cp;
    this.service("inactive");
    machine.answers["systemctl --version"] = { stdout: "systemd 252 (252.39)\n+PAM" };
  }

  static async make(): Promise<World> {
    return new World(await TestMachine.make(), await startControlPlane());
  }

  /** How systemd says that the service is. */
  service(active: string, enabled = ""): void {
    this.machine.answers["systemctl show"] = {
      stdout: `LoadState=loaded\nActiveState=${active}\nUnitFileState=${enabled}`,
    };
  }

  /** The service is well as soon as it is started, or says what it lacks. */
  onceStarted(check: { code?: number; stdout?: string } = {}): void {
    const { machine } = this;
    Object.defineProperty(machine.answers, "systemctl restart", {
      configurable: true,
      enumerable: true,
      get: () => (this.service("active", "enabled"), {}),
    });
    machine.answers["env NODERAX_CONFIG_FILE"] = check;
  }

  async install(text: string, options: Partial<InstallOptions> = {}): Promise<void> {
    const { machine, cp } = this;
    const release = await findRelease(await makeBundle(join(machine.root, "run", text), text));
    await installAgent(machine, {
      apiUrl: cp.url,
      release,
      env: installEnv(machine.places, () => undefined),
      token: undefined,
      converse: () => Promise.reject(new UserError("Nobody is there.")),
      print: (shown) => this.shown += shown,
      warn: (warning) => this.warnings.push(warning),
      showLog: (lines) => this.shown += lines.join("\n"),
      signal: new AbortController().signal,
      limitMs: 20,
      intervalMs: 5,
      ...options,
    });
  }

  /** What the control plane was told. */
  get told(): z.infer<typeof Told>[] {
    return this.cp.requests.filter(({ path }) => path.endsWith("/progress"))
      .map(({ body }) => Told.parse(body));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cp[Symbol.asyncDispose]();
    await this.machine[Symbol.asyncDispose]();
  }
}

Deno.test("a bootstrap token makes the machine a node, and every stage is told", async () => {
  await using world = await World.make();
  const { machine, cp } = world;
  world.onceStarted();
  const token = cp.addInstall();
  await world.install("1", { token });

  const identity = await readIdentity(machine.places.identity);
  assert.equal(identity?.nodeId, cp.nodes[0]?.nodeId);
  const config = JSON.parse(await Deno.readTextFile(machine.places.config));
  assert.equal(config.node_id, identity?.nodeId);
  assert.equal(config.api_url, cp.url);
  assert.deepEqual(world.told.map(({ stage }) => stage), [
    "installer_started",
    "dependencies_installing",
    "dependencies_ready",
    "service_user_ready",
    "binary_download_started",
    "binary_downloaded",
    "agent_bootstrapping",
    "service_started",
  ]);
  const percents = world.told.map(({ progressPercent = -1 }) => progressPercent);
  assert.deepEqual(percents, percents.toSorted((a, b) => a - b));
  assert.deepEqual([percents.at(-1), world.told.at(-1)?.status], [100, "completed"]);
  assert.ok(!world.shown.includes(token) && !machine.calls.join().includes(token));
  assert.deepEqual([world.warnings, cp.violations], [[], []]);
});

Deno.test("a control plane that does not hear of the stages is told of once", async () => {
  await using world = await World.make();
  world.onceStarted();
  world.cp.fault({ path: "/node-installs/progress", status: 500 });
  await world.install("1", { token: world.cp.addInstall() });
  assert.equal(world.cp.nodes.length, 1);
  assert.equal(world.warnings.length, 1);
  assert.match(world.warnings[0] ?? "", /^The web app does not show how the installation goes \(/);
});

Deno.test("a token is not used up where what it brings could not be kept", async () => {
  await using world = await World.make();
  const { machine, cp } = world;
  await Deno.mkdir(`${machine.places.identity}.probe`, { recursive: true });
  await assert.rejects(world.install("1", { token: cp.addInstall() }), { name: "UserError" });
  assert.deepEqual(cp.requests.filter(({ path }) => path.endsWith("/consume")), []);
  assert.match(world.shown, /Rolled back: program/);
});

Deno.test("a token that is not taken leaves no trace, and both sides hear why", async () => {
  await using world = await World.make();
  const { machine, cp } = world;
  const before = await machine.content();
  const token = cp.addInstall();
  cp.fault({ path: "/consume", status: 410, body: { message: `${token} has expired` } });
  await assert.rejects(world.install("1", { token }), {
    name: "UserError",
    message:
      "The bootstrap token was refused (*** has expired): create a new one in the Noderax web app.",
  });
  assert.deepEqual(await machine.content(), before);
  const last = world.told.at(-1);
  assert.deepEqual([last?.stage, last?.status], ["failed", "failed"]);
  assert.match(last?.statusMessage ?? "", /\*\*\* has expired/);
});

Deno.test("an address where no control plane answers is found before anything is changed", async () => {
  await using world = await World.make();
  const { machine, cp } = world;
  await using web = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("hello"),
  );
  const before = await machine.content();
  await cp.stop();
  const addresses: [url: string, message: RegExp][] = [
    [cp.url, /^api_url is \S+, but nothing that can be used answers: .*refused.*: check the/],
    [`http://127.0.0.1:${web.addr.port}`, /but something else answers there: HTTP status 200, /],
    [
      `https://127.0.0.1:${web.addr.port}`,
      /answers there speaks http, not https: begin it with http:/,
    ],
  ];
  for (const [apiUrl, message] of addresses) {
    await assert.rejects(world.install("1", { apiUrl }), { name: "UserError", message });
  }
  assert.deepEqual(await machine.content(), before);
  assert.ok(!machine.calls.some((call) => /restart|useradd|stop/.test(call)), machine.calls.join());
});

Deno.test("a token that is not taken is no approval that is missing", async () => {
  await using world = await World.make();
  const { machine, cp } = world;
  const env = installEnv(machine.places, () => undefined);
  await Deno.mkdir(machine.places.configFolder, { mode: 0o755 });
  await saveConfig(machine.places.config, { enrollment_token: "pending" }, { env });
  const before = await machine.content();
  cp.fault({ path: "/consume", status: 410, body: { message: "expired" } });
  await assert.rejects(world.install("1", { token: cp.addInstall() }), /token was refused/);
  assert.doesNotMatch(world.shown, /approval/);
  assert.deepEqual(await machine.content(), before);
});

Deno.test("a machine that has become a node keeps all when the service does not get well", async () => {
  await using world = await World.make();
  const { machine, cp } = world;
  world.onceStarted({ code: 1, stdout: "unhealthy: no answer" });
  machine.answers.journalctl = { stdout: "the last line" };
  await assert.rejects(world.install("1", { token: cp.addInstall() }), {
    name: "UserError",
    message: "The service was not healthy within 0.02 s: unhealthy: no answer",
  });
  assert.match(world.shown, /the last line.*failed\nThis machine is node \S+ now, so all/s);
  assert.ok(await readIdentity(machine.places.identity));
  assert.equal(await Deno.readTextFile(machine.places.program), "1");

  world.onceStarted();
  await world.install("1");
  assert.match(world.shown, /unchanged\nService: running and healthy, unchanged\n$/);
  assert.equal(cp.nodes.length, 1);
});

Deno.test("an upgrade that does not get well puts the old agent back, and starts it last", async () => {
  await using world = await World.make();
  const { machine } = world;
  world.onceStarted();
  await world.install("1", { token: world.cp.addInstall() });
  const before = await machine.content();
  machine.calls.length = 0;
  world.onceStarted({ code: 1, stdout: "unhealthy" });
  await assert.rejects(world.install("2"), { message: /was not healthy/ });
  assert.deepEqual(await machine.content(), before);
  assert.match(
    world.shown,
    /Rolled back: program in \S+\nRolled back: the service runs as before\n$/,
  );
  assert.equal(machine.calls.at(-1), "systemctl restart noderax-agent.service");

  // One that fails again and again waits for its next start just then.
  world.onceStarted({ code: 1, stdout: "unhealthy" });
  world.service("activating", "enabled");
  await assert.rejects(world.install("2"), { message: /was not healthy/ });
  assert.equal(machine.calls.at(-1), "systemctl restart noderax-agent.service");
});

Deno.test("an approval that is still awaited keeps all; without one all is undone", async () => {
  await using world = await World.make();
  const { machine } = world;
  const before = await machine.content();
  await assert.rejects(world.install("1"), { message: "Nobody is there." });
  assert.deepEqual(await machine.content(), before);

  const converse: InstallOptions["converse"] = async ({ loaded, env }) => {
    await saveConfig(loaded.path, { enrollment_token: "pending" }, env ? { env } : {});
    throw new UserError("Nobody has approved.");
  };
  await assert.rejects(world.install("1", { converse }), { message: "Nobody has approved." });
  assert.match(world.shown, /failed\nEverything is installed; only the approval/);
  assert.equal(await Deno.readTextFile(machine.places.program), "1");
});

Deno.test("a machine that cannot be installed on is told apart before anything is done", async () => {
  const cases: [string, (world: World) => unknown, RegExp][] = [
    [
      "no systemd",
      ({ machine }) => machine.answers["systemctl show"] = { code: 1 },
      /systemd does not run this machine/,
    ],
    [
      "a masked service",
      ({ machine }) => machine.answers["systemctl show"] = { stdout: "LoadState=masked" },
      /systemctl unmask/,
    ],
    [
      "a terminal of the agent itself",
      ({ machine }) => machine.cgroups = () => "0::/system.slice/noderax-agent.service",
      /systemd-run --pipe --wait \S+\/run\/1\/noderax-agent install/,
    ],
    [
      "another command of that name",
      ({ machine }) => Deno.writeTextFile(machine.places.link, "mine"),
      /does not lead to/,
    ],
  ];
  for (const [name, bringAbout, sentence] of cases) {
    await using world = await World.make();
    await bringAbout(world);
    const before = await world.machine.content();
    await assert.rejects(world.install("1"), { name: "UserError", message: sentence }, name);
    assert.deepEqual(await world.machine.content(), before, name);
  }
});

Deno.test("uninstall removes what install has made, twice, and the rest when told to", async () => {
  await using world = await World.make();
  const { machine } = world;
  const before = await machine.content();
  world.onceStarted();
  await world.install("1", { token: world.cp.addInstall() });
  await Deno.mkdir(`${machine.places.programFolder}.new`);
  await Deno.mkdir(`${machine.places.stateFolder}.old`);
  await Deno.mkdir(`${machine.places.unit}.d`);
  const uninstall = async (purge: boolean) => {
    let shown = "";
    const print = (text: string) => shown += text.replaceAll(machine.root, "");
    assert.equal(await uninstallAgent(machine, { purge, print, warn: assert.fail }), false);
    return shown;
  };
  assert.equal(
    await uninstall(false),
    `Removed: /etc/systemd/system/noderax-agent.service, and the service is stopped
Removed: /usr/local/bin/noderax-agent
Removed: /opt/noderax-agent
Removed: /opt/noderax-agent.new
Kept: /etc/noderax-agent (configuration)
Kept: /var/lib/noderax-agent (identity and state)
Kept: user noderax
To remove that too: rm -r /etc/noderax-agent; rm -r /var/lib/noderax-agent; userdel --remove noderax
The Noderax web app still lists the node: remove it there.
`,
  );
  assert.doesNotMatch(await uninstall(false), /Removed/);
  assert.ok(await readIdentity(machine.places.identity));
  const parts = (await purgedParts(machine)).map((part) => part.replaceAll(machine.root, ""));
  assert.deepEqual(parts, [
    "/etc/noderax-agent",
    "/var/lib/noderax-agent",
    "/var/lib/noderax-agent.old",
    "/etc/systemd/system/noderax-agent.service.d",
    "user noderax and its home /home/noderax",
  ]);
  assert.match(await uninstall(true), /Removed: user noderax and its home\n/);
  assert.ok(machine.calls.includes("/usr/sbin/userdel --remove noderax"));
  assert.deepEqual(await machine.content(), before);

  machine.answers["systemctl show"] = { stdout: "LoadState=not-found\nActiveState=active" };
  machine.account("Somebody");
  machine.calls.length = 0;
  assert.match(await uninstall(true), /Kept: user noderax, which install did not create\n/);
  assert.ok(!machine.calls.some((call) => call.includes("userdel")));
  assert.ok(machine.calls.includes("systemctl stop noderax-agent.service"));
});
