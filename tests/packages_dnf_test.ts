import assert from "node:assert/strict";
import { join } from "@std/path";
import { Fleet } from "./_agent.ts";
import { eventually, PATIENCE_MS } from "./_processes.ts";
import { HAS_DNF, HELD_LUA, NEEDS_DNF, RpmRoot, type TinyRpm } from "./_rpm_root.ts";
import { tell } from "./_together.ts";

const PACKAGES: TinyRpm[] = [
  { name: "base", version: "1.0" },
  { name: "base", version: "1.1" },
  { name: "top", version: "2.0", requires: "base", provides: "editor" },
  { name: "Old_lib++", version: "3.0", epoch: 2 },
  { name: "lost", version: "1.0", requires: "nowhere" },
  { name: "fails", version: "1.0", post: 'error("broken")' },
  { name: "refuses", version: "1.0", pre: 'error("no")' },
  { name: "held", version: "1.0", post: HELD_LUA },
];

/** A root, built once, and an agent that knows nothing else. */
async function start() {
  await using made = new AsyncDisposableStack();
  const root = made.use(await RpmRoot.build(PACKAGES));
  const fleet = made.use(await Fleet.start());
  made.use(await fleet.agent(root.env));
  const stack = made.move();
  const { controlPlane: cp } = fleet;
  const run = async (type: string, payload: Record<string, unknown>) => {
    const { id, status, result, completion } = await fleet.ended(cp.queueTask({ type, payload }));
    const changed = Array.isArray(result?.changed)
      ? result.changed.map(({ name, from = "", to = "" }) => `${name} ${from}>${to}`)
      : [];
    const system = cp.streamText(id, "system");
    const { packages, results, durationMs } = result ?? {};
    const error = String(result?.error ?? completion?.error ?? "");
    return { id, status, changed, error, system, packages, results, durationMs };
  };
  return { root, fleet, cp, run, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

Deno.test({
  name: "packages of rpm are listed, searched, installed, upgraded and removed" + NEEDS_DNF,
  ignore: !HAS_DNF,
  async fn() {
    await using it = await start();
    const change = async (type: string, names: string[], changed: string[]) => {
      const end = await it.run(type, { names, packages: names, package: names[0] });
      tell(`${type} ${names}: ${end.changed.join(", ") || "nothing"}, ${end.durationMs} ms`);
      assert.deepEqual([end.status, end.error, end.changed], ["success", "", changed]);
      return end;
    };
    await change("packageInstall", ["base-1.0"], ["base >1.0-1"]);
    await change("packageInstall", ["base"], ["base 1.0-1>1.1-1"]);
    await change("packageInstall", ["base"], []);
    await change("packageInstall", ["top", "Old_lib++"], ["Old_lib++ >2:3.0-1", "top >2.0-1"]);

    const list = await it.run("packageList", {});
    assert.deepEqual(list.packages, [
      {
        name: "Old_lib++",
        version: "2:3.0-1",
        architecture: "noarch",
        description: "tiny Old_lib++",
      },
      { name: "base", version: "1.1-1", architecture: "noarch", description: "tiny base" },
      { name: "top", version: "2.0-1", architecture: "noarch", description: "tiny top" },
    ], JSON.stringify(list));
    assert.equal(await it.root.run("rpm -qa | wc -l"), "3");

    const base = {
      name: "base",
      version: "1.1-1",
      architecture: "noarch",
      description: "tiny base",
    };
    assert.deepEqual((await it.run("packageSearch", { query: "TINY base" })).results, [base]);
    assert.deepEqual((await it.run("packageSearch", { term: "b.se" })).results, []);

    // What top provides is no package: it is not removed by that name.
    const provided = await change("packageRemove", ["editor"], []);
    assert.match(provided.system, /\[editor is not installed\]/);
    await change("packagePurge", ["Old_lib++-2:3.0-1.noarch"], ["Old_lib++ 2:3.0-1>"]);
    await change("packageRemove", ["base"], ["base 1.1-1>", "top 2.0-1>"]);
    assert.deepEqual(await it.root.installed(), []);
    assert.deepEqual(it.cp.violations, []);
  },
});

Deno.test({
  name: "what dnf refuses fails with its reason, a script that fails is named" + NEEDS_DNF,
  ignore: !HAS_DNF,
  async fn() {
    await using it = await start();
    const fails = async (name: string, error: RegExp, changed: string[] = []) => {
      const end = await it.run("packageInstall", { names: [name] });
      assert.match(end.error, error);
      assert.deepEqual([end.status, end.changed], ["failed", changed]);
    };
    await fails("none", /Unable to find a match: none/);
    await fails("lost", /nothing provides nowhere needed by lost-1\.0-1/);
    await fails("refuses", /Error in PREIN scriptlet in rpm package refuses/);
    await fails("fails", /scripts of fails failed: run "dnf reinstall fails"/, ["fails >1.0-1"]);
    assert.deepEqual(it.cp.violations, []);
  },
});

Deno.test({
  name: "hostile names are refused before dnf is started" + NEEDS_DNF,
  ignore: !HAS_DNF,
  async fn() {
    await using it = await start();
    const hostile = [
      ...["-y", "--installroot=/x", "base -y", "base;id", "base|id", "base&id", "$(id)", "`id`"],
      ...["base\nid", "base\tid", "base\0id", "ba*", "ba?e", "[b]ase", "{base,top}", "*", "?"],
      ...["@group", "@", "@nodejs:18", "nodejs:18", "/bin/sh", "./base", "../base", "base/top"],
      ...["/tmp/base.rpm", "base.rpm", "BASE.RPM", "http://x/base.rpm", "https://x", "file:///x"],
      ...["ftp://x/y", "base=1.0", "base>=1", "base<2", "(base or top)", "base,top", "ba%e"],
      ...[
        '"base"',
        "'base'",
        "\\base",
        "!base",
        "#base",
        ".base",
        "+base",
        "~base",
        "^base",
        "bäse",
      ],
      ...["base:", ":base", "base:1.0", "a".repeat(300), "", " "],
    ];
    assert(hostile.length >= 40);
    const ids = hostile.flatMap((name) =>
      ["packageInstall", "packageRemove"].map((type) =>
        it.cp.queueTask({ type, payload: { names: [name] } })
      )
    );
    for (const id of ids) {
      const { status, completion } = await it.fleet.ended(id, PATIENCE_MS * 5);
      assert.equal(status, "failed");
      assert.match(completion?.error ?? "", /^bad payload: payload\.names/);
    }
    await assert.rejects(Deno.stat(it.root.path("calls")), Deno.errors.NotFound);
    tell(`${hostile.length} hostile names refused, dnf was not started`);
    assert.deepEqual(it.cp.violations, []);
  },
});

Deno.test({
  name: "a transaction of rpm that is cancelled is finished, others wait for it" + NEEDS_DNF,
  ignore: !HAS_DNF,
  async fn() {
    await using it = await start();
    const held = () =>
      eventually("the held package", () => Deno.stat(it.root.path("root/held")).catch(() => null));
    const go = () => Deno.writeTextFile(it.root.path("root/go"), "");
    const id = it.cp.queueTask({ type: "packageInstall", payload: { names: ["held", "base"] } });
    try {
      await held();
      it.cp.cancelTask(id);
      const says = (id: string, words: RegExp) =>
        eventually(`${words}`, () => Promise.resolve(words.test(it.cp.streamText(id, "system"))));
      await says(id, /dnf is asked to stop/);
      await go();
      const { status, result } = await it.fleet.ended(id);
      assert.equal(status, "cancelled");
      assert.deepEqual(result?.changed, [{ name: "base", to: "1.1-1" }, {
        name: "held",
        to: "1.0-1",
      }]);
      assert.deepEqual(await it.root.installed(), ["base 1.1", "held 1.0"]);
      await Promise.all(
        ["go", "held"].map((name) =>
          Deno.remove(it.root.path(`root/${name}`), { recursive: true })
        ),
      );

      const other = it.root.run("dnf -y reinstall held");
      await held();
      const waiting = it.cp.queueTask({ type: "packageInstall", payload: { names: ["top"] } });
      await says(waiting, /^\[rpm is busy: waiting up to 120 s for process \d+ \(dnf\)\]$/m);
      await go();
      await other;
      const ended = await it.fleet.ended(waiting);
      assert.equal(ended.status, "success");
      assert.deepEqual(ended.result?.changed, [{ name: "top", to: "2.0-1" }]);
    } finally {
      await go();
    }
    assert.deepEqual(it.cp.violations, []);
  },
});

Deno.test({
  name: "a damaged database of rpm is named with what repairs it" + NEEDS_DNF,
  ignore: !HAS_DNF,
  async fn() {
    await using it = await start();
    await it.run("packageInstall", { names: ["base"] });
    const database = join(it.root.path("root/var/lib/rpm"), "rpmdb.sqlite");
    for (const suffix of ["-wal", "-shm"]) await Deno.remove(database + suffix).catch(() => {});
    await Deno.writeTextFile(database, "no database ".repeat(1_000));
    for (
      const [type, payload] of [["packageList", {}], ["packageInstall", {
        names: ["top"],
      }]] as const
    ) {
      const { status, error } = await it.run(type, payload);
      assert.equal(status, "failed");
      assert.match(
        error,
        /^rpm cannot read its database \(.*\): run "rpm --rebuilddb" to repair it$/,
      );
    }
    assert.deepEqual(it.cp.violations, []);
  },
});
