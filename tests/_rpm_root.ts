import { dirname, join } from "@std/path";
import { sh } from "./_second_user.ts";

const PROGRAMS = ["rpm", "rpmbuild", "dnf", "createrepo_c"];
/** Whether there are rpm, rpmbuild, dnf and createrepo_c here, and they can be used. */
export const HAS_DNF = Deno.uid() === 0 &&
  PROGRAMS.every((program) => {
    try {
      return Deno.statSync(`/usr/bin/${program}`).isFile;
    } catch {
      return false;
    }
  });

/** What a test that needs them says where they are missing. */
export const NEEDS_DNF = HAS_DNF ? "" : " (ignored: needs root, rpm, dnf and createrepo-c)";

/** A package with this script in lua waits for a file /go when it is installed, or for a minute. */
export const HELD_LUA =
  'posix.mkdir("/held"); for i = 1, 60 do if posix.stat("/go") then break end; posix.sleep(1) end';

/** A tiny package for rpm to build. */
export interface TinyRpm {
  name: string;
  version: string;
  epoch?: number;
  requires?: string;
  provides?: string;
  /** Lua that is run when it is installed, in a root without programs; before its files are there. */
  pre?: string;
  /** The same, after them. */
  post?: string;
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
    await wrap("dnf", `${log}\n${root}\nexec /usr/bin/dnf ${conf_}`);
    const database = `_dbpath ${this.path("root/var/lib/rpm")}`;
    await wrap("rpm", `exec /usr/bin/rpm --define "${database}"`);
    for (const folder of ["/usr/bin", dirname(Deno.execPath())]) {
      for await (const { name } of Deno.readDir(folder)) {
        if (/^(dpkg|apt|rpm|dnf|yum|createrepo)/.test(name)) continue;
        await Deno.symlink(join(folder, name), this.path(`bin/${name}`)).catch(() => {});
      }
    }
  }
}

function specOf({ name, version, epoch, requires, provides, pre, post }: TinyRpm): string {
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
    ...(pre ? ["%pre -p <lua>", pre] : []),
    ...(post ? ["%post -p <lua>", post] : []),
    "%files",
    "",
  ].join("\n");
}
