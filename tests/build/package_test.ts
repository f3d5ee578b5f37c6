import assert from "node:assert/strict";
import { join } from "@std/path";
import { buildDeb } from "../../scripts/_deb.ts";
import { type PackageKind, requireTool } from "../../scripts/_package.ts";
import { buildRpm } from "../../scripts/_rpm.ts";
import { targetOf } from "../../scripts/_target.ts";
import { runTool } from "../../src/system/tool.ts";
import { UserError } from "../../src/system/user_error.ts";
import { sh } from "../_second_user.ts";

/** A release of a few bytes: what a package does to it does not depend on its size. */
const FILES = {
  "noderax-agent": "#!/bin/sh\n",
  "lib/agent.js": "agent\n",
  "lib/node_modules/@lydell/node-pty/pty.node": "addon",
  "LICENSE": "MIT License\n\nCopyright (c) 2026 The Noderax authors\n",
  "LICENSES-OF-OTHERS": "zod\n",
};
const PATHS = [
  ...Object.keys(FILES).map((name) => `opt/noderax-agent/${name}`),
  "opt/noderax-agent/lib/deno",
  "opt/noderax-agent/package",
  "etc/noderax-agent/config.json",
  "usr/lib/systemd/system/noderax-agent.service",
  "usr/lib/systemd/system/noderax-agent.service.d/locked-down.conf",
  "usr/lib/sysusers.d/noderax-agent.conf",
];
/** Checksums of the conffiles in every version: with another, each changed one would be asked about. */
const CONFFILES = ["d528416097b4", "db35f232e8a1"];
const OF_DEBIAN = [
  "etc/needrestart/conf.d/noderax-agent.conf",
  "usr/share/doc/noderax-agent/changelog.gz",
  "usr/share/doc/noderax-agent/copyright",
  "usr/share/lintian/overrides/noderax-agent",
];

const has = async (tool: string) => (await runTool(tool, "--version")).code === 0;
const [hasDpkg, hasRpm, hasLintian] = await Promise.all(
  ["dpkg-deb", "rpmbuild", "lintian"].map(has),
);

/** Packages of one kind, made of the same release, and unpacked. */
class Packages implements AsyncDisposable {
  readonly scratch: string;

  private constructor(scratch: string) {
    this.scratch = scratch;
  }

  static async make(kind: PackageKind): Promise<Packages> {
    const packages = new Packages(await Deno.makeTempDir({ prefix: `${kind}_` }));
    const tree = join(packages.scratch, "tree");
    for (const [name, text] of Object.entries(FILES)) {
      await Deno.mkdir(join(tree, name, ".."), { recursive: true });
      await Deno.writeTextFile(join(tree, name), text);
    }
    await Deno.chmod(join(tree, "noderax-agent"), 0o755);
    // A program with something appended, as Deno has it.
    await sh('cp /bin/true "$1" && echo appended >>"$1" && chmod 755 "$1"', join(tree, "lib/deno"));
    for (const at of ["one", "two"]) {
      await Deno.mkdir(join(packages.scratch, at));
      for (const target of ["amd64", "arm64"]) await packages.#build(kind, tree, target, at);
    }
    return packages;
  }

  path(at: string, target: string, kind: PackageKind): string {
    return join(this.scratch, at, `noderax-agent-1.2.3-linux-${target}.${kind}`);
  }

  async #build(kind: PackageKind, folder: string, target: string, at: string): Promise<void> {
    const build = kind === "deb" ? buildDeb : buildRpm;
    const path = await build({
      tree: {
        folder,
        name: `noderax-agent-1.2.3-linux-${target}`,
        scratch: this.scratch,
        target: targetOf(target),
        revision: { commit: "c", date: "2026-01-02T03:04:05.000Z" },
      },
      outputFolder: join(this.scratch, at),
      version: "1.2.3-rc.1",
    });
    assert.equal(path, this.path(at, target, kind));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.scratch, { recursive: true });
  }
}

Deno.test({
  name: "the Debian packages hold the release as it is, with what dpkg wants to know",
  ignore: !hasDpkg,
  async fn(t) {
    await using packages = await Packages.make("deb");
    for (const target of ["amd64", "arm64"]) {
      const [one, two] = ["one", "two"].map((at) => packages.path(at, target, "deb"));
      await sh('cmp "$1" "$2"', one ?? "", two ?? "");
      const fields = await sh('dpkg-deb -f "$1" Package Version Architecture', one ?? "");
      assert.equal(
        fields,
        `Package: noderax-agent\nVersion: 1.2.3~rc.1\nArchitecture: ${target}`,
      );
      const unpacked = join(packages.scratch, target);
      await sh('dpkg-deb -R "$1" "$2"', one ?? "", unpacked);
      await checkFiles(unpacked, join(packages.scratch, "tree"), "deb");
    }
    const path = packages.path("one", "amd64", "deb");

    await t.step("it is compressed with xz, which every dpkg knows", async () => {
      assert.deepEqual((await sh('ar t "$1"', path)).split("\n").slice(1), [
        "control.tar.xz",
        "data.tar.xz",
      ]);
    });

    await t.step("its configuration is a conffile that depends on no version", async () => {
      const control = join(packages.scratch, "amd64", "DEBIAN");
      assert.equal(
        await Deno.readTextFile(join(control, "conffiles")),
        "/etc/noderax-agent/config.json\n/etc/needrestart/conf.d/noderax-agent.conf\n",
      );
      const sums = await sh(
        'cd "$1/.." && sha256sum etc/noderax-agent/* etc/needrestart/conf.d/*',
        control,
      );
      assert.deepEqual(sums.split("\n").map((line) => line.slice(0, 12)), CONFFILES);
    });

    await t.step(
      "its scripts take every argument that dpkg has, and complain of others",
      async () => {
        const calls = [
          ["preinst", "upgrade", "abort-upgrade"],
          ["postinst", "abort-upgrade", "abort-deconfigure"],
          ["prerm", "upgrade", "deconfigure", "failed-upgrade"],
          ["postrm", "upgrade", "failed-upgrade", "abort-upgrade", "disappear"],
        ];
        for (const [script = "", ...args] of calls) {
          const file = join(packages.scratch, "amd64", "DEBIAN", script);
          await sh('sh -n "$1"', file);
          for (const arg of args) {
            assert.deepEqual(await runTool(file, arg, "1.0"), { code: 0, stdout: "", stderr: "" });
          }
          const { code, stderr } = await runTool(file, "dance");
          assert.deepEqual([code, stderr], [
            1,
            `noderax-agent: ${script} is called with an unknown argument: dance`,
          ]);
        }
      },
    );

    await t.step({
      name: "lintian has nothing to say (needs lintian)",
      ignore: !hasLintian,
      async fn() {
        const { code, stdout } = await runTool("lintian", "--allow-root", path);
        assert.deepEqual([code, stdout], [0, ""]);
      },
    });
  },
});

Deno.test({
  name: "the RPM packages hold the release as it is (needs rpmbuild)",
  ignore: !hasRpm,
  async fn() {
    await using packages = await Packages.make("rpm");
    for (const [target, processor] of [["amd64", "x86_64"], ["arm64", "aarch64"]] as const) {
      const [one = "", two = ""] = ["one", "two"].map((at) => packages.path(at, target, "rpm"));
      await sh('cmp "$1" "$2"', one, two);
      const format = "%{NAME} %{VERSION} %{ARCH} %{PAYLOADCOMPRESSOR}";
      const query = ["rpm", "--query", "--package"].join(" ");
      assert.equal(
        await sh(`${query} --queryformat '${format}' "$1"`, one),
        `noderax-agent 1.2.3~rc.1 ${processor} xz`,
      );
      assert.equal(
        await sh(`${query} --configfiles "$1"`, one),
        "/etc/noderax-agent/config.json",
      );
      const unpacked = join(packages.scratch, target);
      await Deno.mkdir(unpacked);
      await sh('rpm2archive - <"$1" | tar -xz -C "$2"', one, unpacked);
      await checkFiles(unpacked, join(packages.scratch, "tree"), "rpm");
    }
  },
});

Deno.test("a tool that is not there is named, with the package that has it", async () => {
  await assert.rejects(
    requireTool("rpmbuild-of-nobody", "rpm"),
    new UserError(
      "There is no rpmbuild-of-nobody, which makes this package: apt-get install rpm.",
    ),
  );
});

/** Every file is there, as it was, and has the mode it should have. */
async function checkFiles(unpacked: string, tree: string, kind: PackageKind): Promise<void> {
  const listed = await sh(
    'cd "$1" && find . -path ./DEBIAN -prune -o -type f -printf "%P\\n" | LC_ALL=C sort',
    unpacked,
  );
  const wanted = kind === "deb" ? [...PATHS, ...OF_DEBIAN] : PATHS;
  assert.deepEqual(listed.split("\n"), wanted.toSorted());
  const program = join(unpacked, "opt/noderax-agent");
  await sh('rm "$1/package" && diff -r "$1" "$2"', program, tree);
  const modes = {
    "opt/noderax-agent/noderax-agent": "755",
    "opt/noderax-agent/lib/deno": "755",
    "opt/noderax-agent/lib/node_modules/@lydell/node-pty/pty.node": "644",
    "etc/noderax-agent": "755",
    "etc/noderax-agent/config.json": "600",
    "var/lib/noderax-agent": "700",
  };
  const found = await sh('cd "$1" && shift && stat -c %a "$@"', unpacked, ...Object.keys(modes));
  assert.deepEqual(found.split("\n"), Object.values(modes));
}
