import assert from "node:assert/strict";
import { dirname, join } from "@std/path";
import * as z from "@zod/zod";
import project from "../../deno.json" with { type: "json" };
import { AgentProcess } from "../_agent.ts";
import { build } from "./_build.ts";
import { footprint } from "../_footprint.ts";
import { eventually } from "../_processes.ts";
import { exited, leavesWell, openShell, realtimeFleet } from "../_realtime.ts";
import { SecondUser, sh } from "../_second_user.ts";
import { outputOf } from "../_shell.ts";

const ROOT = dirname(dirname(import.meta.dirname ?? ""));
const CONFIG = join(ROOT, "deno.json");
const ARCH = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
const NAME = `noderax-agent-${project.version}-linux-${ARCH}`;
const ADDON = `lib/node_modules/@lydell/node-pty-linux-${ARCH === "arm64" ? "arm64" : "x64"}`;
const FILES = new RegExp(
  `^(LICENSE|LICENSES-OF-OTHERS|noderax-agent|lib/(deno|deno\\.json|[\\w.-]+\\.js)|${ADDON}/(README.md|package.json|pty.node))$`,
);
/** The one file for the agent itself. */
const DAEMON = "daemon.js";
const DEVELOPMENT = /node:assert|startControlPlane|playwright|@xterm|@david\/dax|Deno\.test/;

/** The bundle, built twice and unpacked once, readable for everybody and writable for nobody. */
class Bundle implements AsyncDisposable {
  readonly scratch: string;
  readonly archives: string[];

  private constructor(scratch: string) {
    this.scratch = scratch;
    this.archives = ["one", "two"].map((name) => join(scratch, name, `${NAME}.tar.gz`));
  }

  get folder(): string {
    return join(this.scratch, NAME);
  }

  get program(): string {
    return join(this.folder, "noderax-agent");
  }

  static async make(): Promise<Bundle> {
    const bundle = new Bundle(await Deno.makeTempDir({ prefix: "bundle_" }));
    const { scratch, folder } = bundle;
    await Deno.chmod(scratch, 0o755);
    const builds = ["one", "two"].map((name) => build("bundle", join(scratch, name)));
    for (const { code, stderr } of await Promise.all(builds)) assert.equal(code, 0, stderr);
    await sh(
      'tar -xzf "$1" -C "$2" && chmod -R a-w "$3"',
      bundle.archives[0] ?? "",
      scratch,
      folder,
    );
    return bundle;
  }

  /** Starts it by a link and from another folder; `through` starts it, with its environment. */
  agent(configFile: string, through: string[]): AgentProcess {
    return new AgentProcess(configFile, { through, command: [join(this.scratch, "link")] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await sh('chmod -R u+w "$1" && rm -r "$1"', this.scratch);
  }
}

Deno.test("the portable bundle", async (t) => {
  await using bundle = await Bundle.make();
  const { scratch, folder, program } = bundle;
  await Deno.symlink(program, join(scratch, "link"));

  await t.step("two builds are the same bytes, and the checksums are theirs", async () => {
    const [one = "", two = ""] = bundle.archives.map((archive) => join(archive, ".."));
    await sh('diff -r "$1" "$2" && cd "$1" && sha256sum --check --strict SHA256SUMS', one, two);
    const files = await Array.fromAsync(Deno.readDir(one), ({ name }) => name);
    assert.deepEqual(files.sort(), ["SHA256SUMS", `${NAME}.run`, `${NAME}.tar.gz`]);
  });

  await t.step("it holds the program and nothing of tests and development", async () => {
    const files = (await sh('cd "$1" && find . -type f -printf "%P\\n"', folder)).split("\n");
    assert.deepEqual(files.filter((file) => !FILES.test(file)), []);
    for (const file of files.filter((file) => file.endsWith(".js"))) {
      assert.doesNotMatch(await Deno.readTextFile(join(folder, file)), DEVELOPMENT, file);
    }
    const licenses = await Deno.readTextFile(join(folder, "LICENSES-OF-OTHERS"));
    for (const name of ["@lydell/node-pty", "commander", "socket.io-client", "zod"]) {
      assert.match(licenses, new RegExp(`^${name} [\\d.]+$`, "m"));
    }
    assert.doesNotMatch(licenses, DEVELOPMENT);
    const listing = (await sh('tar -tvzf "$1"', bundle.archives[0] ?? "")).split("\n");
    const foreign = listing.filter((line) => !/^(-rw-r--r--|[d-]rwxr-xr-x) 0\/0 /.test(line));
    assert.deepEqual(foreign, []);
  });

  await t.step("what the program declares to be disposed of is so in the bundle", async () => {
    const lib = join(folder, "lib");
    const files = (await namesIn(lib, ".js")).filter((name) => name !== DAEMON);
    assert.deepEqual(await disposals(lib, files), await disposals(ROOT, await modulesOf("mod.ts")));
    // Of the one file for the agent functions are left out that it does not use.
    const one = await Deno.readTextFile(join(lib, DAEMON));
    const declared = await disposals(ROOT, await modulesOf("src/cli/daemon.ts"), one);
    assert.deepEqual(await disposals(lib, [DAEMON]), declared);
  });

  await t.step("the agent is one file, and loads nothing of Node at its start", async () => {
    const files = ["agent.js", "daemon.js"].map((name) => join(folder, "lib", name));
    for (const code of await Promise.all(files.map((file) => Deno.readTextFile(file)))) {
      assert.doesNotMatch(code, /^import\b/m);
      assert.doesNotMatch(code, /\bimport\("\.\//);
    }
  });

  await t.step("an installation has the first start prepared, where it says", async () => {
    const cache = join(scratch, "prepared");
    await sh('"$1" prepare-cache "$2"', program, cache);
    const database = join(cache, "v8_code_cache_v2-wal");
    const kept = async () => (await Deno.stat(database)).size;
    const size = await kept();
    const text = new TextDecoder("latin1").decode(await Deno.readFile(database));
    for (const name of [DAEMON, "commands.js"]) assert(text.includes(`/lib/${name}`), name);
    // The first start finds it: what it would add is a part of that.
    await sh('"$1" prepare-cache "$2"', program, cache);
    assert(await kept() < 1.1 * size, `${await kept()} bytes instead of ${size}`);
  });

  await t.step("tasks leave no descriptor open", () => closesAll(bundle));

  await t.step("it knows what it was built from, and writes nothing anywhere", async () => {
    const home = await Deno.makeTempDir({ dir: scratch });
    const { stdout, stderr } = await new Deno.Command(join(scratch, "link"), {
      args: ["version", "--json"],
      cwd: "/",
      clearEnv: true,
      env: { HOME: home },
    }).output();
    assert.equal(new TextDecoder().decode(stderr), "");
    const { commit, date, version } = z.record(z.string(), z.string())
      .parse(JSON.parse(new TextDecoder().decode(stdout)));
    const [hash, time] = (await sh("git -c safe.directory='*' log -1 --format='%H %ct'")).split(
      " ",
    );
    assert.equal(commit?.replace("-dirty", ""), hash);
    assert.equal(Date.parse(date ?? ""), Number(time) * 1_000);
    assert.equal(version, project.version);
    assert.deepEqual(await Array.fromAsync(Deno.readDir(home)), []);
  });

  await t.step("it starts in a folder that has been removed", async () => {
    const script = 'mkdir "$1/gone" && cd "$1/gone" && rmdir "$1/gone" && exec "$0" config path';
    const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
      args: ["-c", script, join(scratch, "link"), scratch],
    }).output();
    const decoder = new TextDecoder();
    // Shells complain of the folder before they read the first line of a script.
    const said = decoder.decode(stderr).split("\n").filter((line) => !/getcwd/.test(line));
    assert.equal(said.filter((line) => !line.includes("there is no such file")).join(), "");
    assert.deepEqual([code, decoder.decode(stdout).startsWith("/")], [0, true]);
  });

  await t.step("its permissions are those of the set `agent`", () => samePermissions(bundle));

  await t.step("its command line is a row of a process list", () => shortCommandLine(bundle));

  await t.step("it runs tasks and terminals", () => works(bundle));

  await t.step("as one file it runs on when that is removed", () => outlives(bundle));

  const ignore = Deno.uid() !== 0;
  const why = ignore ? " (ignored: only root can make users)" : "";
  await t.step({
    name: `it does so for a user without privileges${why}`,
    ignore,
    fn: async () => {
      await using user = await SecondUser.make();
      await works(bundle, user.name);
    },
  });
});

/** The project's own modules that one of them needs, as paths within the checkout. */
async function modulesOf(main: string): Promise<string[]> {
  const info = await sh('cd "$1" && "$2" info --json "$3"', ROOT, Deno.execPath(), main);
  const { modules } = z.object({ modules: z.array(z.object({ specifier: z.string() })) })
    .parse(JSON.parse(info));
  const root = new URL(`file://${ROOT}/`).href;
  return modules.flatMap(({ specifier: it }) => it.startsWith(root) ? it.slice(root.length) : []);
}

async function namesIn(folder: string, ending: string): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  return names.filter((name) => name.endsWith(ending));
}

/**
 * Every declaration with `using`, of all functions or of those that are in the one file `bundle`; a
 * bundler may have put a number behind the name.
 */
async function disposals(folder: string, files: string[], bundle?: string): Promise<string[]> {
  const modules = new Map<string, string>();
  for (
    const [, file = "", code = ""]
      of bundle?.matchAll(/^\/\/ (\S+\.ts)\n([^]*?)(?=^\/\/ \S+$)/gm) ?? []
  ) {
    modules.set(file, code);
  }
  const texts = files.map(async (file) => {
    const text = await Deno.readTextFile(join(folder, file));
    return text.split(/^(?=\S)/m).filter((part) => {
      const [, name] = /^(?:export )?(?:async )?function\*? (\w+)/.exec(part) ?? [];
      if (!name || bundle === undefined) return true;
      return new RegExp(`function\\*? ${name}\\d*\\(`).test(modules.get(file) ?? "");
    });
  });
  const parts = (await Promise.all(texts)).flat();
  return parts.flatMap((text) => text.match(/^ *(await )?using [A-Za-z_]+(?=\d* = )/gm) ?? [])
    .map((declaration) => declaration.trim()).sort();
}

/** Runs tasks one after the other; what the agent has open afterwards is what it had before. */
async function closesAll(bundle: Bundle): Promise<void> {
  await using fleet = await realtimeFleet();
  await using agent = bundle.agent(fleet.configFile, ["env", `HOME=${fleet.folder}`]);
  const runTasks = async (count: number) => {
    for (let i = 0; i < count; i++) await fleet.closed((await fleet.ended(fleet.shell("true"))).id);
    return (await footprint(agent.pid)).descriptors;
  };
  await agent.waitForLog("realtime session is up");
  const before = await runTasks(3);
  const after = await runTasks(12);
  await eventually(
    `descriptors to be closed again: ${before} before 12 tasks, ${after} after`,
    async () => (await footprint(agent.pid)).descriptors <= before + 2,
  );
  await leavesWell(fleet, agent);
}

/** Where it is installed, its command line has fewer than 120 characters. */
async function shortCommandLine(bundle: Bundle): Promise<void> {
  await using fleet = await realtimeFleet();
  await using agent = bundle.agent(fleet.configFile, ["env", `HOME=${fleet.folder}`]);
  await agent.waitForLog("agent started");
  const line = (await sh('tr "\\0" " " <"/proc/$1/cmdline"', String(agent.pid))).trim();
  const installed = line.replaceAll(bundle.folder, "/opt/noderax-agent");
  assert.match(installed, /^\/opt\/noderax-agent\/lib\/deno run .*agent\.js run$/);
  assert.ok(installed.length < 120, `${installed.length} characters: ${installed}`);
  await leavesWell(fleet, agent);
  assert.deepEqual(agent.otherOutput, []);
}

/** Asks for each permission once under the launcher's flags and once under the set. */
async function samePermissions({ scratch, folder, program }: Bundle): Promise<void> {
  const { env, sys } = project.permissions.agent;
  const wanted = [
    ...["read", "write", "net", "run", "ffi", "env", "sys", "import"].map((name) => ({ name })),
    ...["/etc/shadow", "."].flatMap((path) => [{ name: "read", path }, { name: "write", path }]),
    ...[...env.allow, "HOME", "PATH", "NODERAX_X", "LD_PRELOAD"]
      .map((variable) => ({ name: "env", variable })),
    ...[...sys, "gid", "loadavg", "networkInterfaces"].map((kind) => ({ name: "sys", kind })),
    ...["example.com", "127.0.0.1:80"].map((host) => ({ name: "net", host })),
    { name: "run", command: "sh" },
  ];
  const probe = join(scratch, "probe", "lib", "agent.js");
  const lib = join(folder, "lib");
  const copy = 'mkdir -p "$1/lib" && cp "$2" "$1" && cp "$3/deno.json" "$1/lib"';
  await sh(copy, join(scratch, "probe"), program, lib);
  await Deno.symlink(join(lib, "deno"), join(scratch, "probe", "lib", "deno"));
  await Deno.writeTextFile(
    probe,
    `const states = ${JSON.stringify(wanted)}
       .map((it) => JSON.stringify(it) + " " + Deno.permissions.querySync(it).state);
     states.push("ignored: " + Deno.env.get("HOME"));
     console.log(states.join("\\n"));`,
  );
  const launched = await sh('"$1"', join(scratch, "probe", "noderax-agent"));
  const set = await sh(
    '"$1" run --no-prompt --config "$2" -P=agent "$3"',
    Deno.execPath(),
    CONFIG,
    probe,
  );
  assert.deepEqual(launched.split("\n"), set.split("\n"));
  assert.match(launched, /"variable":"HOME"\} denied[^]*ignored: undefined/);
}

/** Starts the `.run` file, and takes it away. */
async function outlives({ scratch, archives: [archive = ""] }: Bundle): Promise<void> {
  await using fleet = await realtimeFleet();
  const file = join(scratch, "one.run");
  await Deno.copyFile(archive.replace(/tar\.gz$/, "run"), file);
  const env = { NODERAX_UNPACK_FOLDER: join(scratch, "unpacked"), HOME: fleet.folder };
  await using agent = new AgentProcess(fleet.configFile, { env, command: [file] });
  await agent.waitForLog("realtime session is up");
  await Deno.remove(file);
  assert.equal(await outputOf(fleet, "env | grep ^NODERAX_ || echo clean"), "clean");
  const terminal = await openShell(fleet);
  terminal.input("exit 7\n");
  assert.equal((await exited(terminal))?.exitCode, 7);
  await leavesWell(fleet, agent);
  assert.deepEqual(agent.otherOutput, []);
}

/** Runs a task and a terminal, whose machine code comes from the bundle. */
async function works(bundle: Bundle, user?: string): Promise<void> {
  await using fleet = await realtimeFleet({ log_level: "debug" });
  const as = user ? ["setpriv", "--reuid", user, "--regid", user, "--init-groups"] : [];
  // No test depends on what is in the home of whoever runs it; a user made for it has nothing there.
  const home = user ? "--unset=HOME" : `HOME=${fleet.folder}`;
  if (user) await sh('chown -R "$1" "$2"', user, fleet.folder);
  await using agent = bundle.agent(fleet.configFile, [...as, "env", "--chdir=/", home]);
  await agent.waitForLog("realtime session is up");
  const output = await outputOf(fleet, "id -un; env | grep ^DENO_ || echo clean");
  assert.equal(output, `${user ?? await sh("id -un")}\nclean`);
  const terminal = await openShell(fleet, { cols: 90, rows: 30 });
  terminal.input("stty size\n");
  await terminal.waitForText("30 90\r\n");
  const maps = await sh('cat "/proc/$1/maps"', String(agent.pid));
  assert(maps.includes(join(bundle.folder, ADDON, "pty.node")), maps);
  terminal.input("exit 7\n");
  assert.equal((await exited(terminal))?.exitCode, 7);
  await leavesWell(fleet, agent);
  assert.deepEqual(agent.otherOutput, []);
}
