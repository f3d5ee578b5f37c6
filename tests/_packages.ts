import { join } from "@std/path";
import { lockHolder } from "../src/system/kernel_locks.ts";
import { runTool } from "../src/system/tool.ts";
import { eventually, PATIENCE_MS, textOf } from "./_processes.ts";

/** Whether packages can be built, installed and removed here; tests that do are ignored otherwise. */
export const CAN_CHANGE_PACKAGES = Deno.uid() === 0 &&
  ["dpkg-deb", "dpkg-query", "apt-get"].every((program) => isThere(`/usr/bin/${program}`));

/** A package with this script waits for a file `go` when it is configured, or for the tests to end. */
export const HELD =
  `echo held; : >"$FOLDER/held"; until [ -e "$FOLDER/go" ] || ! kill -0 ${Deno.pid}; do sleep 0.05; done`;

/** What the names of all packages of the tests begin with. */
const PREFIX = "noderax-test-";

/** So much of what programs have said tells why one has failed, in UTF-16 units. */
const MAX_SAID = 5_000;

/** Locked by whoever changes packages. */
const TURN_FILE = "/tmp/noderax-package-tests.lock";

/** A tiny package to build. */
export interface TinyPackage {
  /** What its name ends with. */
  suffix: string;
  version: string;
  /** The suffix of the package that it depends on. */
  depends?: string;
  /** The names that it provides; suffixes, too. */
  provides?: string[];
  /** The script that configures it; `$1` is not its own, but `$FOLDER` is the repository's. */
  postinst?: string;
}

/**
 * A repository of tiny packages in a folder, and a configuration of apt that knows nothing else.
 * The packages get into the machine's own dpkg database, and out of it again.
 */
export class PackageRepository implements AsyncDisposable {
  readonly folder: string;
  /** What makes apt use the repository; the machine's own sources and lists are left alone. */
  readonly env: { APT_CONFIG: string };
  /** The machine has one dpkg: tests of other files, and other runs, wait for their turn. */
  readonly #turn: Deno.FsFile;
  readonly #prefix = `${PREFIX}${crypto.randomUUID().slice(0, 6)}-`;
  readonly #names = new Set<string>();
  readonly #spawned: Deno.ChildProcess[] = [];

  private constructor(folder: string, turn: Deno.FsFile) {
    this.folder = folder;
    this.#turn = turn;
    this.env = { APT_CONFIG: join(folder, "apt.conf") };
  }

  static async build(packages: TinyPackage[]): Promise<PackageRepository> {
    const turn = await Deno.open(TURN_FILE, { create: true, write: true });
    try {
      await turn.lock(true);
      await purgeLeftOvers();
      const folder = await Deno.makeTempDir({ prefix: "noderax-packages-" });
      const repository = new PackageRepository(folder, turn);
      for (const each of packages) await repository.#add(each);
      await repository.#configure();
      await repository.run("apt-get", "update");
      return repository;
    } catch (error) {
      turn.close();
      throw error;
    }
  }

  /** The name of the package with this suffix. */
  name(suffix: string): string {
    return this.#prefix + suffix;
  }

  /** dpkg's word for the state of a package, and its version; "" if dpkg does not know it. */
  async state(suffix: string): Promise<string> {
    const format = "${db:Status-Status} ${Version}";
    const args = ["-W", "-f", format, this.name(suffix)];
    const { stdout } = await new Deno.Command("dpkg-query", { args, stderr: "null" }).output();
    return new TextDecoder().decode(stdout);
  }

  /** Where a file of the repository's folder is; scripts of packages wait for them and make them. */
  path(name: string): string {
    return join(this.folder, name);
  }

  /** Starts a program that sees only this repository. */
  spawn(program: string, ...args: string[]): Deno.ChildProcess {
    const env = { ...this.env, DEBIAN_FRONTEND: "noninteractive", LOG: this.path("log") };
    const script = 'exec "$0" "$@" >>"$LOG" 2>&1';
    const quiet = { stdin: "null", stdout: "null", stderr: "null" } as const;
    const logged = ["-c", script, program, ...args];
    const child = new Deno.Command("/bin/sh", { args: logged, env, ...quiet }).spawn();
    this.#spawned.push(child);
    return child;
  }

  /** Waits for a program that was started so; it must succeed. */
  async success(child: Deno.ChildProcess): Promise<void> {
    const { code } = await child.status;
    if (code !== 0) throw new Error(`a program exited with code ${code}\n${await this.story()}`);
  }

  /** Runs a program that sees only this repository; it must succeed. */
  async run(program: string, ...args: string[]): Promise<void> {
    await this.success(this.spawn(program, ...args));
  }

  /** Locks a file as apt does, for as long as there is no file `go`. */
  async lock(name: string): Promise<void> {
    const script = `use Fcntl;
      open(my $file, ">", $ARGV[0]) or die;
      my $lock = pack("s s x4 q q l", F_WRLCK, 0, 0, 0, 0);
      fcntl($file, F_SETLK, $lock) or die;
      open(my $held, ">", "$ARGV[0].held") or die;
      select(undef, undef, undef, 0.05) until -e $ARGV[1] || !-e "/proc/${Deno.pid}";`;
    this.spawn("perl", "-e", script, this.path(name), this.path("go"));
    await eventually("the lock", () => Deno.stat(this.path(`${name}.held`)).catch(() => undefined));
  }

  /** What holds dpkg's lock, what dpkg knows of these packages, what programs here have said. */
  async story(): Promise<string> {
    const holder = lockHolder("/var/lib/dpkg/lock-frontend");
    const query = ["-W", "-f", "${Package} ${Status}\\n", `${this.#prefix}*`];
    const { stdout } = await runTool("dpkg-query", ...query);
    const said = (await textOf(this.path("log"))).slice(-MAX_SAID);
    return `dpkg's lock is held by: ${holder?.pid} ${holder?.name}\n${stdout}\n${said}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await Promise.all(this.#spawned.map(({ status }) => status));
      await purge(this.#names);
      await Deno.remove(this.folder, { recursive: true });
    } finally {
      this.#turn.close();
    }
  }

  async #add({ suffix, version, depends, provides, postinst }: TinyPackage): Promise<void> {
    const name = this.name(suffix);
    this.#names.add(name);
    const root = join(this.folder, "build", `${name}-${version}`);
    await Deno.mkdir(join(root, "DEBIAN"), { recursive: true });
    const control = [
      `Package: ${name}`,
      `Version: ${version}`,
      "Architecture: all",
      "Maintainer: Tests <tests@example.com>",
      ...(depends ? [`Depends: ${this.name(depends)}`] : []),
      ...(provides ? [`Provides: ${provides.map((name) => this.name(name)).join(", ")}`] : []),
      `Description: tiny ${suffix}`,
      " A package of the tests.",
      "",
    ].join("\n");
    await Deno.writeTextFile(join(root, "DEBIAN", "control"), control);
    if (postinst) {
      const script = `#!/bin/sh\nFOLDER=${this.folder}\n${postinst}\n`;
      await Deno.writeTextFile(join(root, "DEBIAN", "postinst"), script, { mode: 0o755 });
    }
    const file = `${name}_${version}.deb`;
    await this.run("dpkg-deb", "--build", "-Znone", root, this.path(file));
    const bytes = await Deno.readFile(this.path(file));
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    const index = `${control}Filename: ./${file}\nSize: ${bytes.length}\nSHA256: ${digest}\n\n`;
    await Deno.writeTextFile(this.path("Packages"), index, { append: true });
  }

  async #configure(): Promise<void> {
    for (const name of ["lists/partial", "cache/archives/partial", "empty"]) {
      await Deno.mkdir(this.path(name), { recursive: true });
    }
    await Deno.writeTextFile(
      this.path("sources.list"),
      `deb [trusted=yes] file:${this.folder} ./\n`,
    );
    const settings = {
      "Dir::Etc::sourcelist": this.path("sources.list"),
      "Dir::Etc::sourceparts": this.path("empty"),
      "Dir::Etc::parts": this.path("empty"),
      "Dir::State::lists": this.path("lists"),
      "Dir::State::extended_states": this.path("extended_states"),
      "Dir::Cache": this.path("cache"),
      "Dir::Log": this.path("cache"),
      "APT::Sandbox::User": "root",
      // Something else of the machine may change packages too.
      "DPkg::Lock::Timeout": "120",
    };
    const lines = Object.entries(settings).map(([key, value]) => `${key} "${value}";\n`);
    await Deno.writeTextFile(this.env.APT_CONFIG, lines.join(""));
  }
}

/** Purges what a run of the tests that was killed has left; whose turn it is, it is in no use. */
async function purgeLeftOvers(): Promise<void> {
  const { stdout } = await runTool("dpkg-query", "-W", "-f", "${Package}\\n", `${PREFIX}*`);
  if (stdout !== "") await purge(stdout.split("\n"));
}

/** Purges packages when dpkg's lock is free: who was killed a moment ago may still hold it. */
async function purge(names: Iterable<string>): Promise<void> {
  const args = ["--purge", "--force-all", ...names];
  let stderr = "";
  const purged = async () => {
    const end = await runTool("dpkg", ...args);
    stderr = end.stderr;
    return end.code === 0;
  };
  await eventually("dpkg --purge", purged, PATIENCE_MS, () => Promise.resolve(stderr));
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
