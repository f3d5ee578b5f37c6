import assert from "node:assert/strict";
import { join } from "@std/path";
import { Fleet } from "./_agent.ts";
import { eventually, PATIENCE_MS, textOf } from "./_processes.ts";
import { HAS_DNF, HELD_LUA, NEEDS_DNF, RpmRoot, type TinyRpm } from "./_rpm_root.ts";
import { tell } from "./_together.ts";

const PACKAGES: TinyRpm[] = [
  { name: "base", version: "1.0" },
  { name: "base", version: "1.1" },
  { name: "top", version: "2.0", requires: "base", provides: "editor" },
  { name: "Old_lib++", version: "3.0", epoch: 2 },
  { name: "lost", version: "1.0", requires: "nowhere" },
  { name: "fails", version: "1.0", file: "/opt/fails", post: 'error("broken")' },
  { name: "loses", version: "1.0", file: "/opt/x", post: 'os.remove("/opt/x"); error("x")' },
  { name: "refuses", version: "1.0", pre: 'error("no")' },
  { name: "stays", version: "1.0", preun: 'error("no")' },
  { name: "held", version: "1.0", post: HELD_LUA },
];

/** More than 40 of them; none may reach dnf, whatever it would make of it. */
const HOSTILE = [
  ...["-y", "--installroot=/x", "base -y", "base;id", "base|id", "base&id", "$(id)", "`id`"],
  ...["base\nid", "base\tid", "base\0id", "ba*", "ba?e", "[b]ase", "{base,top}", "*", "?"],
  ...["@group", "@", "@nodejs:18", "nodejs:18", "/bin/sh", "./base", "../base", "base/top"],
  ...["/tmp/base.rpm", "base.rpm", "BASE.RPM", "http://x/base.rpm", "https://x", "file:///x"],
  ...["ftp://x/y", "base=1.0", "base>=1", "base<2", "(base or top)", "base,top", "ba%e"],
  ...['"base"', "'base'", "\\base", "!base", "#base", ".base", "+base", "~base", "^base", "bäse"],
  ...["base:", ":base", "base:1.0", "a".repeat(300), "", " "],
];

/** A root with these packages to be had, and an agent that knows nothing else. */
async function start() {
  await using made = new AsyncDisposableStack();
  const root = made.use(await RpmRoot.build(PACKAGES));
  const fleet = made.use(await Fleet.start());
  made.use(await fleet.agent(root.env));
  const stack = made.move();
  const { controlPlane: cp } = fleet;
  const ended = async (taskId: string) => {
    const { status, result, completion } = await fleet.ended(taskId, PATIENCE_MS * 5);
    const changed = Array.isArray(result?.changed)
      ? result.changed.map(({ name, from = "", to = "" }) => `${name} ${from}>${to}`)
      : [];
    const error = String(result?.error ?? completion?.error ?? "");
    return { status, changed, error, result, system: cp.streamText(taskId, "system") };
  };
  const run = (type: string, payload: Record<string, unknown>) =>
    ended(cp.queueTask({ type, payload }));
  const change = async (type: string, names: string[], changed: string[]) => {
    const end = await run(type, { names, packages: names, package: names[0] });
    const ms = end.result?.durationMs;
    tell(`${type} ${names}: ${end.changed.join(", ") || "nothing to do"}, ${ms} ms`);
    assert.deepEqual([end.status, end.error, end.changed], ["success", "", changed]);
    return end;
  };
  return { root, cp, ended, run, change, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

Deno.test({
  name: "packages of rpm are listed, searched, installed, upgraded and removed" + NEEDS_DNF,
  ignore: !HAS_DNF,
  async fn() {
    await using it = await start();
    await it.change("packageInstall", ["base-1.0"], ["base >1.0-1"]);
    await it.root.exclude("base-1.1*");
    await it.change("packageInstall", ["base"], []);
    await it.root.exclude("");
    await it.change("packageInstall", ["base"], ["base 1.0-1>1.1-1"]);
    await it.change("packageInstall", ["base-1.0"], ["base 1.1-1>1.0-1"]);
    await it.change("packageInstall", ["base", "top", "Old_lib++"], [
      "Old_lib++ >2:3.0-1",
      "base 1.0-1>1.1-1",
      "top >2.0-1",
    ]);

    const tiny = (name: string, version: string) => (
      { name, version, architecture: "noarch", description: `tiny ${name}` }
    );
    assert.deepEqual((await it.run("packageList", {})).result?.packages, [
      tiny("Old_lib++", "2:3.0-1"),
      tiny("base", "1.1-1"),
      tiny("top", "2.0-1"),
    ]);
    const found = async (payload: Record<string, string>) =>
      (await it.run("packageSearch", payload)).result?.results;
    assert.deepEqual(await found({ query: "TINY base" }), [tiny("base", "1.1-1")]);
    assert.deepEqual(await found({ query: "old_lib++" }), [tiny("Old_lib++", "2:3.0-1")]);
    assert.deepEqual(await found({ term: "b.se" }), []);

    // What top provides is no package: it is not removed by that name.
    const provided = await it.change("packageRemove", ["editor"], []);
    assert.match(provided.system, /\[editor is not installed\]/);
    await it.change("packagePurge", ["Old_lib++-2:3.0-1.noarch"], ["Old_lib++ 2:3.0-1>"]);
    await it.change("packageRemove", ["base"], ["base 1.1-1>", "top 2.0-1>"]);
    assert.deepEqual(await it.root.installed(), []);

    // Where what goes by yum is dnf.
    await Deno.rename(it.root.path("bin/dnf"), it.root.path("bin/yum"));
    await it.change("packageInstall", ["base"], ["base >1.1-1"]);

    await it.root.multiply(2_999);
    const counted = await it.root.run("rpm -qa | wc -l");
    // A machine that is busy with other tests may be slow once.
    await eventually("a list in less than a second", async () => {
      const { packages, durationMs } = (await it.run("packageList", {})).result ?? {};
      assert(Array.isArray(packages));
      const count = packages.length;
      tell(`packageList: ${count} packages in ${durationMs} ms; rpm -qa | wc -l: ${counted}`);
      assert.deepEqual([count, counted], [3_000, "3000"]);
      return Number(durationMs) < 1_000;
    });
    assert.deepEqual(it.cp.violations, []);
  },
});

Deno.test({
  name: "what dnf refuses fails with its reason, what is broken is named with its repair" +
    NEEDS_DNF,
  ignore: !HAS_DNF,
  async fn() {
    await using it = await start();
    const ids = HOSTILE.map((name, index) => {
      const type = index % 2 ? "packageInstall" : "packageRemove";
      return it.cp.queueTask({ type, payload: { names: [name] } });
    });
    for (const id of ids) {
      const { status, error } = await it.ended(id);
      assert.equal(status, "failed");
      assert.match(error, /^bad payload: payload\.names/);
    }
    await assert.rejects(Deno.stat(it.root.path("calls")), Deno.errors.NotFound);
    assert(HOSTILE.length >= 40);
    tell(`${HOSTILE.length} hostile names refused, dnf was not started`);

    const fails = async (name: string, error: RegExp, changed: string[] = []) => {
      const end = await it.run("packageInstall", { names: [name] });
      assert.match(end.error, error);
      assert.deepEqual([end.status, end.changed], ["failed", changed]);
    };
    await fails("none", /(?:Unable to find a match|No match for argument): none$/);
    await fails("lost", /nothing provides nowhere needed by lost-1\.0-1/);
    await fails("refuses", /; scripts of refuses\S* failed, and they are not installed now$/);
    await it.change("packageInstall", ["stays"], ["stays >1.0-1"]);
    const stays = await it.run("packageRemove", { names: ["stays"] });
    assert.match(stays.error, /scripts of stays\S* failed: run "rpm -e --noscripts stays/);
    assert.deepEqual([stays.status, stays.changed], ["failed", []]);
    await fails("fails", /scripts of fails\S* failed: run "dnf reinstall fails/, ["fails >1.0-1"]);
    await fails("loses", /; files of loses are missing: run "dnf reinstall loses" to repair it$/, [
      "loses >1.0-1",
    ]);

    // Somebody else has taken away what a package needs.
    await it.change("packageInstall", ["top"], ["base >1.1-1", "top >2.0-1"]);
    await it.root.run("rpm --nodeps --justdb -e base");
    await fails("none", /; top-\S+ lack what they need: run "dnf reinstall top-\S+" to repair it$/);
    await it.root.run("dnf -y reinstall top");
    assert((await it.root.installed()).includes("base 1.1"));

    const database = join(it.root.path("root/var/lib/rpm"), "rpmdb.sqlite");
    await it.root.damageIndex();
    const damaged = await it.run("packageInstall", { names: ["held"] });
    assert.equal(damaged.status, "failed");
    assert.match(damaged.error, /\(error: .*\): run "rpm --rebuilddb" to repair it/);
    await it.root.run("rpm --rebuilddb");
    // What was installed for it goes with it.
    await it.change("packageRemove", ["top"], ["base 1.1-1>", "top 2.0-1>"]);
    for (const suffix of ["-wal", "-shm"]) await Deno.remove(database + suffix).catch(() => {});
    await Deno.writeTextFile(database, "no database ".repeat(1_000));
    const payloads = { packageList: {}, packageInstall: { names: ["held"] } };
    for (const [type, payload] of Object.entries(payloads)) {
      const { status, error } = await it.run(type, payload);
      assert.equal(status, "failed");
      assert.match(
        error,
        /^rpm cannot read its database \(.*\): run "rpm --rebuilddb" to repair it, and take its folder from a backup if that fails$/,
      );
    }
    assert.deepEqual(it.cp.violations, []);
  },
});

Deno.test({
  name: "a transaction of rpm is never cut short, others wait for it" + NEEDS_DNF,
  ignore: !HAS_DNF,
  async fn() {
    await using it = await start();
    const { cp, root } = it;
    const held = () => eventually("the held package", () => textOf(root.path("root/held/limit")));
    const go = () => Deno.writeTextFile(root.path("root/go"), "");
    const says = (id: string, words: RegExp) =>
      eventually(
        `${words}`,
        () => Promise.resolve(words.test(cp.streamText(id, "system"))),
        PATIENCE_MS,
        () => Promise.resolve(cp.streamText(id, "system") + cp.describe(id)),
      );
    try {
      const names = ["held", "base"];
      const id = cp.queueTask({ type: "packageInstall", payload: { names } });
      await held();
      // rpm closes all that it might have open, one by one, before every script.
      assert.equal(await textOf(root.path("root/held/limit")), "1024");
      cp.cancelTask(id);
      await says(id, /^\[rpm is changing packages: it is left to finish\]$/m);
      await go();
      const cancelled = await it.ended(id);
      assert.equal(cancelled.status, "cancelled");
      assert.deepEqual(cancelled.changed, ["base >1.1-1", "held >1.0-1"]);
      assert.deepEqual(await root.installed(), ["base 1.1", "held 1.0"]);
      for (const name of ["go", "held"]) {
        await Deno.remove(root.path(`root/${name}`), { recursive: true });
      }

      const other = root.run("dnf -y reinstall held");
      await held();
      const queue = (type: string) => cp.queueTask({ type, payload: { names: ["top"] } });
      const waiting = queue("packageInstall");
      await says(waiting, /^\[rpm is busy: waiting up to 120 s for process \d+ \(dnf5?\)\]$/m);
      const given = queue("packageRemove");
      await says(given, /waiting for another package change of this agent/);
      cp.cancelTask(given);
      assert.equal((await it.ended(given)).status, "cancelled");
      await go();
      await other;
      const { status, changed } = await it.ended(waiting);
      assert.deepEqual([status, changed], ["success", ["top >2.0-1"]]);
    } finally {
      await go();
    }
    assert.deepEqual(cp.violations, []);
  },
});
