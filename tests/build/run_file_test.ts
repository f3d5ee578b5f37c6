import assert from "node:assert/strict";
import { join } from "@std/path";
import { makeRunFile } from "../../scripts/_run_file.ts";
import { targetOf } from "../../scripts/_target.ts";
import { eventually } from "../_processes.ts";
import { runTool } from "../../src/system/tool.ts";
import { isThere } from "../../src/install/machine.ts";
import { privileged, SecondUser, sh } from "../_second_user.ts";
import { together } from "../_together.ts";

/** In the place of the agent: it tells how it was started. */
const PROGRAM = `#!/bin/sh
case $1 in
  tell) shift; echo "$$ $# $* $(cat)" ;;
  install) echo "$NODERAX_RUN_FILE $(readlink -f "$0")"; read -r code; exit "$code" ;;
  *) echo "$$"; exec sleep 1000 ;;
esac
exit 7
`;

/** A `.run` file of a release that is small, and folders for what it is to do. */
class RunFile implements AsyncDisposable {
  readonly scratch: string;
  /** The file. */
  readonly path: string;
  /** Where it unpacks. */
  readonly folder: string;
  /** Nothing is to be in here at any time. */
  readonly temp: string;

  private constructor(scratch: string) {
    this.scratch = scratch;
    this.path = join(scratch, "small.run");
    this.folder = join(scratch, "cache", "agent");
    this.temp = join(scratch, "temp");
  }

  static async make(): Promise<RunFile> {
    const it = new RunFile(await Deno.makeTempDir({ prefix: "run_file_" }));
    await Deno.mkdir(it.temp);
    await it.write(it.path);
    return it;
  }

  /** Makes another file. */
  async write(path: string, target: string = Deno.build.target): Promise<void> {
    const { scratch } = this;
    const lib = join(scratch, "small", "lib");
    await Deno.mkdir(lib, { recursive: true });
    await Deno.writeTextFile(join(lib, "deno"), "#!/bin/sh\n", { mode: 0o755 });
    await Deno.writeTextFile(join(lib, "which.js"), path);
    await Deno.writeTextFile(join(scratch, "small", "noderax-agent"), PROGRAM, { mode: 0o755 });
    const archive = join(scratch, "small.tar.gz");
    await sh('tar -czf "$1" -C "$2" small', archive, scratch);
    const tree = { name: "made", scratch, target: targetOf(target) };
    await Deno.rename(await makeRunFile(tree, archive, scratch), path);
  }

  spawn(args: string[], options: { path?: string; env?: Record<string, string> } = {}) {
    const { path = this.path, env } = options;
    return new Deno.Command(path, {
      args,
      env: { NODERAX_UNPACK_FOLDER: this.folder, TMPDIR: this.temp, ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /** Runs it to its end, with `input` to read. */
  async run(args: string[], options: Parameters<RunFile["spawn"]>[1] & { input?: string } = {}) {
    const child = this.spawn(args, options);
    const stdin = child.stdin.getWriter();
    // A file that is refused reads nothing.
    await stdin.write(new TextEncoder().encode(options.input ?? "")).catch(() => {});
    await stdin.close().catch(() => {});
    const { code, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    return {
      code,
      pid: child.pid,
      stdout: decoder.decode(stdout),
      stderr: decoder.decode(stderr),
    };
  }

  /** What is refused, in one sentence, with nothing done. */
  async refused(sentence: RegExp, options: Parameters<RunFile["run"]>[1] = {}): Promise<void> {
    const { code, stdout, stderr } = await this.run(["tell"], options);
    assert.match(stderr, sentence);
    assert.deepEqual([code, stdout], [1, ""], stderr);
    assert.doesNotMatch(stderr.trimEnd(), /\n/);
  }

  /** What lies where it unpacks. */
  async unpacked(folder = this.folder): Promise<string[]> {
    try {
      return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
    } catch {
      return [];
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    assert.deepEqual(await this.unpacked(this.temp), []);
    await Deno.remove(this.scratch, { recursive: true });
  }
}

/** A folder with these programs alone, as a PATH. */
async function pathOf(folder: string, ...names: string[]): Promise<string> {
  await Deno.mkdir(folder);
  for (const name of names) {
    await Deno.symlink(await sh('command -v "$1"', name), join(folder, name));
  }
  return folder;
}

Deno.test("a .run file passes on what it is given, and unpacks once", async () => {
  await using file = await RunFile.make();
  const first = await file.run(["tell", "a b", "*"], { input: "read" });
  assert.deepEqual([first.code, first.stderr], [7, ""]);
  assert.equal(first.stdout, `${first.pid} 2 a b * read\n`);
  const [tree = ""] = await file.unpacked();
  assert.match(tree, /^unpacked-[0-9a-f]{64}$/);
  assert.equal(((await Deno.stat(file.folder)).mode ?? 0) & 0o777, 0o700);

  const env = {
    PATH: await pathOf(join(file.scratch, "few"), "cat", "sh", "id", "readlink", "stat"),
  };
  assert.equal((await file.run(["tell"], { env })).code, 7);
  await file.write(join(file.scratch, "other.run"));
  await file.refused(/This needs gzip, which this machine does not have/, {
    path: join(file.scratch, "other.run"),
    env,
  });

  const child = file.spawn(["wait"]);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  assert.equal(new TextDecoder().decode(value), `${child.pid}\n`);
  await Deno.remove(file.path);
  child.kill("SIGTERM");
  assert.equal((await child.status).signal, "SIGTERM");
  await reader.cancel();
  await Promise.all([child.stdin.close().catch(() => {}), child.stderr.cancel()]);
});

Deno.test("a .run file that was cut off or altered says so and does nothing", async () => {
  await using file = await RunFile.make();
  const whole = await Deno.readFile(file.path);
  const packedAt = new TextDecoder("latin1").decode(whole).indexOf("\nexit\n") + 6;
  const cut = (length: number) => whole.slice(0, length);
  const flipped = (at: number) => whole.with(at, (whole[at] ?? 0) ^ 2);
  // A digit it stays, whichever it was: of any other sign the shell itself may have something to say.
  const ZERO = 0x30;
  const otherDigit = (at: number) => whole.with(at, whole[at] === ZERO ? ZERO + 1 : ZERO);
  const cases: Record<string, [Uint8Array<ArrayBuffer>, RegExp]> = {
    "cut before its end": [cut(whole.length - 1), /has \d+ bytes instead of .*not fetched compl/],
    "without what it unpacks": [cut(packedAt), /not fetched completely/],
    "with more at its end": [new Uint8Array([...whole, 10]), /bytes instead of/],
    "other in what it unpacks": [flipped(packedAt + 100), /is damaged or was altered \(SHA-256/],
    "other in its last byte": [flipped(whole.length - 1), /damaged/],
    "other in its comment": [flipped(100), /damaged/],
    "other in its checksum": [otherDigit(20), /damaged/],
  };
  const refuse = async (name: string, env: Record<string, string> = {}) => {
    const [bytes = whole, sentence = /^$/] = cases[name] ?? [];
    const path = join(file.scratch, `${name}.run`);
    await Deno.writeFile(path, bytes);
    await Deno.chmod(path, 0o755);
    await file.refused(sentence, { path, env });
  };
  await together(Object.fromEntries(Object.keys(cases).map((name) => [name, () => refuse(name)])));
  assert.deepEqual(await file.unpacked(), []);

  // Within its script it says what the shell says of it.
  await Deno.writeFile(file.path, cut(packedAt - 300));
  assert.notEqual((await file.run(["tell"])).code, 7);
  assert.deepEqual(await file.unpacked(), []);

  // Nor when what it would unpack is there already.
  await Deno.writeFile(file.path, whole);
  assert.equal((await file.run(["tell"])).code, 7);
  await Deno.writeFile(file.path, flipped(whole.length - 1));
  await file.refused(/damaged/);
});

Deno.test("a .run file starts nothing that another user could have prepared", async () => {
  await using file = await RunFile.make();
  const parent = join(file.folder, "..");
  await Deno.mkdir(file.folder, { recursive: true });
  const modes = async (mode: number, folder: string, sentence: RegExp | undefined) => {
    await Deno.chmod(folder, mode);
    if (sentence) await file.refused(sentence);
    else assert.equal((await file.run(["tell"])).code, 7);
    assert.equal(((await Deno.stat(folder)).mode ?? 0) & 0o7777, mode);
    await Deno.chmod(folder, 0o755);
  };
  await modes(0o777, file.folder, /agent can be written to by others, so .*NODERAX_UNPACK_FOLDER/);
  await modes(0o1777, file.folder, /agent can be written to by others/);
  await modes(0o775, file.folder, /agent can be written to by others/);
  await modes(0o2775, parent, /cache can be written to by others/);
  await modes(0o757, parent, /cache can be written to by others/);
  assert.deepEqual(await file.unpacked(), []);
  await modes(0o1777, parent, undefined);
  await modes(0o777, parent, /cache can be written to by others/);

  await Deno.remove(parent, { recursive: true });
  await Deno.mkdir(parent);
  await Deno.symlink(file.temp, file.folder);
  await Deno.chmod(file.temp, 0o777);
  await file.refused(/temp can be written to by others/);
  await file.refused(/There is no folder to unpack the program into: set NODERAX_UNPACK_FOLDER/, {
    env: { NODERAX_UNPACK_FOLDER: "cache" },
  });
});

Deno.test("a .run file for another kind of machine says so", async () => {
  await using file = await RunFile.make();
  await file.write(file.path, Deno.build.arch === "x86_64" ? "arm64" : "amd64");
  await file.refused(/is for machines of kind \w+, and this is \w+: fetch the file for this kind/);
  assert.deepEqual(await file.unpacked(), []);
});

Deno.test("a .run file that is started often at once, or killed, leaves one tree or none", async () => {
  await using file = await RunFile.make();
  const path = await pathOf(join(file.scratch, "slow"));
  const env = { PATH: `${path}:${Deno.env.get("PATH")}` };
  const unpacking = join(path, "unpacking");
  const slow = `#!/bin/sh\n: >"${unpacking}"; exec sleep 1000\n`;
  await Deno.writeTextFile(join(path, "gzip"), slow, { mode: 0o755 });
  const killed = async (signal: Deno.Signal) => {
    const child = new Deno.Command("setsid", {
      args: [file.path, "tell"],
      env: { NODERAX_UNPACK_FOLDER: file.folder, TMPDIR: file.temp, ...env },
      stdin: "null",
      stderr: "null",
    }).spawn();
    await eventually("the unpacking", () => isThere(unpacking));
    await Deno.remove(unpacking);
    Deno.kill(-child.pid, signal);
    return await child.status;
  };
  assert.equal((await killed("SIGTERM")).code, 143);
  assert.deepEqual(await file.unpacked(), []);
  await killed("SIGKILL");
  const [left = ""] = await file.unpacked();

  const runs = await Promise.all(Array.from({ length: 6 }, () => file.run(["tell"])));
  assert.deepEqual(runs.map(({ code, stderr }) => [code, stderr]), runs.map(() => [7, ""]));
  const [mine = ""] = (await file.unpacked()).filter((name) => name !== left);
  assert.deepEqual(await file.unpacked(), [left, mine].sort());

  // A day later another version removes it, and trees that nobody uses: but none that is run.
  const old = new Date(Date.now() - 2 * 86_400_000);
  await sh('find "$1" -exec touch -d "2 days ago" {} +', file.folder);
  await Deno.copyFile("/bin/sleep", join(file.folder, mine, "lib", "deno"));
  const running = new Deno.Command(join(file.folder, mine, "lib", "deno"), { args: ["1000"] })
    .spawn();
  await Deno.utime(join(file.folder, mine), old, old);
  await file.write(join(file.scratch, "other.run"));
  await file.run(["tell"], { path: join(file.scratch, "other.run") });
  const now = await file.unpacked();
  assert.deepEqual([now.includes(left), now.includes(mine), now.length], [false, true, 2]);
  running.kill();
  await running.status;
  await Deno.utime(join(file.folder, mine), old, old);
  await file.write(join(file.scratch, "third.run"));
  await file.run(["tell"], { path: join(file.scratch, "third.run") });
  assert.equal((await file.unpacked()).includes(mine), false);
});

privileged("a .run file unpacks for each user into a folder of that user's own", async () => {
  await using user = await SecondUser.make();
  await using file = await RunFile.make();
  await Deno.chmod(file.scratch, 0o755);
  const script = 'HOME=$(mktemp -d) && export HOME && mkdir "$HOME/other" && "$0" tell; ' +
    'XDG_CACHE_HOME=$HOME/other "$0" tell; cd "$HOME" && ls -d .cache/* other/* && rm -r "$HOME"';
  const as = ["setpriv", "--reuid", user.name, "--regid", user.name, "--init-groups"];
  const env = ["env", "--unset=XDG_CACHE_HOME", "--unset=NODERAX_UNPACK_FOLDER"];
  const started = ["--chdir=/", ...as, ...env, "/bin/sh", "-c", script, file.path];
  const { code, stdout, stderr } = await runTool("env", ...started);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /\.cache\/noderax-agent\nother\/noderax-agent$/);
});

const cannotInstall = Deno.uid() !== 0;
Deno.test({
  name: `what a .run file installs from is gone when it has ended, in whatever way${
    cannotInstall ? " (ignored: only root can install)" : ""
  }`,
  ignore: cannotInstall,
  async fn() {
    await using file = await RunFile.make();
    const parent = join(file.folder, "..");
    const gone = () =>
      eventually("the end of its tree", async () => (await file.unpacked(parent)).length === 0);
    const { code, stdout } = await file.run(["install"], { input: "3\n" });
    assert.equal(code, 3);
    const [path = "", program = ""] = stdout.trim().split(" ");
    assert.equal(path, file.path);
    assert.match(program, new RegExp(`^${file.folder}-unpacked\\.\\w{6}/noderax-agent$`));
    await gone();

    const child = file.spawn(["install"]);
    const reader = child.stdout.getReader();
    await reader.read();
    assert.equal((await file.unpacked(parent)).length, 1);
    child.kill("SIGKILL");
    await child.status;
    await gone();
    await reader.cancel();
    await Promise.all([child.stdin.close().catch(() => {}), child.stderr.cancel()]);
  },
});

const cannotMount = Deno.uid() !== 0;
Deno.test({
  name: `a .run file needs no temp folder that programs can be run from, but one of its own${
    cannotMount ? " (ignored: only root can mount)" : ""
  }`,
  ignore: cannotMount,
  async fn() {
    await using file = await RunFile.make();
    const mounted = join(file.scratch, "mounted");
    await Deno.mkdir(mounted);
    const script = 'mount -t tmpfs -o noexec,mode=1777 none "$1" && exec "$2" tell';
    const run = async (env: Record<string, string>) => {
      const { code, stderr } = await new Deno.Command("unshare", {
        args: ["--mount", "sh", "-c", script, "sh", mounted, file.path],
        env: { NODERAX_UNPACK_FOLDER: file.folder, ...env },
        stdin: "null",
      }).output();
      return { code, stderr: new TextDecoder().decode(stderr) };
    };
    assert.deepEqual(await run({ TMPDIR: mounted }), { code: 7, stderr: "" });
    const { code, stderr } = await run({ NODERAX_UNPACK_FOLDER: join(mounted, "agent") });
    assert.equal(code, 1);
    assert.match(stderr, /^noderax-agent: No program can be run from .*noexec.*: set NODERAX_UNPA/);
  },
});
