import { dirname, join } from "@std/path";
import { sh } from "./_second_user.ts";

/** Another dnf and rpm may be tried: programs that take the same arguments. */
const DNF = Deno.env.get("NODERAX_TEST_DNF") ?? "/usr/bin/dnf";
const RPM = Deno.env.get("NODERAX_TEST_RPM") ?? "/usr/bin/rpm";
const PROGRAMS = [RPM, DNF, "/usr/bin/rpmbuild", "/usr/bin/createrepo_c", "/usr/bin/sqlite3"];
/** Whether there are rpm, rpmbuild, dnf and createrepo_c here, and they can be used. */
export const HAS_DNF = Deno.uid() === 0 &&
  PROGRAMS.every((program) => {
    try {
      return Deno.statSync(program).isFile;
    } catch {
      return false;
    }
  });

/** What a test that needs them says where they are missing. */
export const NEEDS_DNF = HAS_DNF
  ? ""
  : " (ignored: needs root, rpm, dnf, createrepo-c and sqlite3)";

/**
 * A package with this script in lua says in /held/limit how much it may open, and waits for a file /go
 * when it is installed, or for a minute.
 */
export const HELD_LUA = `posix.mkdir("/held")
local file = io.open("/held/limit", "w"); file:write(posix.sysconf("open_max")); file:close()
for i = 1, 60 do if posix.stat("/go") then break end; posix.sleep(1) end`;

/** A tiny package for rpm to build. */
export interface TinyRpm {
  name: string;
  version: string;
  epoch?: number;
  requires?: string;
  provides?: string;
  /** A file that it brings. */
  file?: string;
  /** Lua that is run when it is installed, in a root without programs; before its files are there. */
  pre?: string;
  /** The same, after them. */
  post?: string;
  /** The same, before it is removed. */
  preun?: string;
}

/** A root with a database of rpm, a repository, and a PATH whose `rpm` and `dnf` know no others. */
export class RpmRoot implements AsyncDisposable {
  readonly folder: string;
  /** What an agent is started with to see only this. */
  readonly env: Record<string, string>;

  private constructor(folder: string) {
    this.folder = folder;
    this.env = { PATH: this.path("bin"), HOME: this.path("home") };
  }

  static async build(packages: TinyRpm[]): Promise<RpmRoot> {
    const root = new RpmRoot(await Deno.makeTempDir({ prefix: "noderax-rpm-" }));
    for (const name of ["root/var/lib/rpm", "specs", "repo", "bin", "home", "none"]) {
      await Deno.mkdir(root.path(name), { recursive: true });
    }
    for (const each of packages) {
      const file = root.path(`specs/${each.name}-${each.version}.spec`);
      await Deno.writeTextFile(file, specOf(each));
    }
    await Deno.writeTextFile(root.path("home/.rpmmacros"), "%_dbpath /var/lib/rpm\n");
    await sh(
      `rpmbuild -bb --quiet --define "_topdir $1/build" --define "_rpmdir $1/repo" "$1"/specs/*.spec &&
      createrepo_c -q "$1/repo"`,
      root.folder,
    );
    await root.#configure();
    return root;
  }

  /** Where a file of the folder is; `root` is what rpm takes for /. */
  path(name: string): string {
    return join(this.folder, name);
  }

  /** Runs a script with the root's own rpm and dnf. */
  run(script: string): Promise<string> {
    return sh(`export PATH="$1" HOME="$2"; ${script}`, this.path("bin"), this.path("home"));
  }

  /** Has dnf leave out what this pattern fits. */
  async exclude(pattern: string): Promise<void> {
    const conf = await Deno.readTextFile(this.path("dnf.conf"));
    const excludes = conf.replace(/excludepkgs=.*/, `excludepkgs=${pattern}`);
    await Deno.writeTextFile(this.path("dnf.conf"), excludes);
  }

  /** Has rpm's database hold `count` more packages, which are copies of what it holds. */
  async multiply(count: number): Promise<void> {
    const sql = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
      INSERT INTO Packages(hnum, blob)
      SELECT (SELECT max(hnum) FROM Packages) + i, (SELECT blob FROM Packages LIMIT 1) FROM n;`;
    await sh('sqlite3 "$1" "$2"', this.path("root/var/lib/rpm/rpmdb.sqlite"), sql);
  }

  /** Writes over the index by name of rpm's database. */
  async damageIndex(): Promise<void> {
    await sh(
      `sqlite3 "$1" "PRAGMA wal_checkpoint(TRUNCATE)" >/dev/null
      for page in $(sqlite3 "$1" "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'Name'"); do
        printf 'not an index' | dd of="$1" bs=1 seek=$(((page - 1) * 4096)) conv=notrunc 2>/dev/null
      done`,
      this.path("root/var/lib/rpm/rpmdb.sqlite"),
    );
  }

  /** What rpm itself says is installed. */
  async installed(): Promise<string[]> {
    const text = await this.run("rpm -qa --qf '%{NAME} %{VERSION}\\n' | sort");
    return text.split("\n").filter((line) => line !== "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }

  async #configure(): Promise<void> {
    const conf = `[main]
installroot=${this.path("root")}
reposdir=${this.path("none")}
varsdir=${this.path("none")}
pluginconfpath=${this.path("none")}
cachedir=/var/cache/dnf
persistdir=/var/lib/dnf
logdir=/var/log
gpgcheck=0
excludepkgs=
[tiny]
name=tiny
baseurl=file://${this.path("repo")}
`;
    await Deno.writeTextFile(this.path("dnf.conf"), conf);
    const wrap = (name: string, command: string) =>
      Deno.writeTextFile(this.path(`bin/${name}`), `#!/bin/sh\n${command} "$@"\n`, { mode: 0o755 });
    const log = `echo dnf "$@" >>${this.path("calls")}`;
    const root = `export HOME=${this.path("home")}`;
    const conf_ = `-c ${this.path("dnf.conf")} --releasever=1`;
    await wrap("dnf", `${log}\n${root}\nexec ${DNF} ${conf_}`);
    const database = `_dbpath ${this.path("root/var/lib/rpm")}`;
    await wrap("rpm", `exec ${RPM} --define "${database}"`);
    for (const folder of ["/usr/bin", dirname(Deno.execPath())]) {
      for await (const { name } of Deno.readDir(folder)) {
        if (/^(dpkg|apt|rpm|dnf|yum|createrepo)/.test(name)) continue;
        await Deno.symlink(join(folder, name), this.path(`bin/${name}`)).catch(() => {});
      }
    }
  }
}

function specOf(
  { name, version, epoch, requires, provides, file, pre, post, preun }: TinyRpm,
): string {
  return [
    `Name: ${name}`,
    `Version: ${version}`,
    "Release: 1",
    ...(epoch ? [`Epoch: ${epoch}`] : []),
    `Summary: tiny ${name}`,
    "License: MIT",
    "BuildArch: noarch",
    ...(requires ? [`Requires: ${requires}`] : []),
    ...(provides ? [`Provides: ${provides}`] : []),
    "%description",
    "A package of the tests.",
    ...(file ? ["%install", `mkdir -p %{buildroot}/opt; echo ${name} >%{buildroot}${file}`] : []),
    ...(pre ? ["%pre -p <lua>", pre] : []),
    ...(post ? ["%post -p <lua>", post] : []),
    ...(preun ? ["%preun -p <lua>", preun] : []),
    "%files",
    ...(file ? [file] : []),
    "",
  ].join("\n");
}
