import assert from "node:assert/strict";
import { join } from "@std/path";
import { asAgent, bySudo, type Launch } from "../src/privileges/launch.ts";
import { Fleet } from "./_agent.ts";
import { install, PackageFleet, withEnv } from "./_package_fleet.ts";
import { CAN_CHANGE_PACKAGES, HELD, PackageRepository } from "./_packages.ts";
import { eventually } from "./_processes.ts";
import { tell } from "./_together.ts";

const REAL = { ignore: !CAN_CHANGE_PACKAGES };

Deno.test("packages are installed, upgraded, removed and purged", REAL, async () => {
  await using it = await PackageFleet.start([
    { suffix: "base", version: "1.0" },
    { suffix: "base", version: "1.1" },
    { suffix: "top", version: "2.0", depends: "base" },
    { suffix: "plus++", version: "1.0" },
  ]);
  const done = async (
    type: string,
    names: string[],
    changed: string[],
    more: Record<string, unknown> = {},
  ) => {
    const story = await it.run(type, names, more);
    const operation = more.purge ? "purge" : type.slice("package".length).toLowerCase();
    tell(`${type} ${names}: ${changed.join(", ") || "nothing to do"}, ${story.durationMs} ms`);
    const { durationMs, stdout, ...rest } = story;
    const ended = { status: "success", error: "", exitCode: 0, system: "" };
    assert.deepEqual(rest, { ...ended, operation, names, changed });
    assert(durationMs !== undefined && durationMs > 0);
    return stdout;
  };
  const log = await done("packageInstall", ["base=1.0"], ["base >1.0"]);
  assert.match(log, /^Setting up .*base \(1\.0\)/m);
  await done("packageInstall", ["base=1.0"], []);
  await done("packageInstall", ["base"], ["base 1.0>1.1"]);
  await done("packageInstall", ["base"], []);
  await done("packageRemove", ["base"], ["base 1.1>"]);
  await done("packageRemove", ["base"], []);
  await done("packageInstall", ["top", "plus++"], ["base >1.1", "plus++ >1.0", "top >2.0"]);
  assert.equal(await it.repository.state("plus++"), "installed 1.0");
  await done("packageRemove", ["base"], ["base 1.1>", "top 2.0>"], { purge: true });
  await done("packagePurge", ["plus++", "base"], ["plus++ 1.0>"]);
  await done("packagePurge", ["top"], []);
  for (const suffix of ["base", "top", "plus++"]) {
    assert.doesNotMatch(await it.repository.state(suffix), /^(?!not-installed)./);
  }
  assert.deepEqual(it.fleet.controlPlane.violations, []);
});

Deno.test(
  "what apt refuses fails with its reason, and never becomes something else",
  REAL,
  async () => {
    await using it = await PackageFleet.start([
      { suffix: "base", version: "1.0" },
      { suffix: "lost", version: "1.0", depends: "nowhere" },
      { suffix: "fails", version: "1.0", postinst: "echo broken >&2; exit 3" },
    ]);
    const fails = async (type: string, names: string[], error: RegExp) => {
      const story = await it.run(type, names);
      assert.equal(story.status, "failed");
      assert.match(story.error, error);
      assert.deepEqual(story.changed, []);
      return story;
    };
    await fails("packageInstall", ["none"], /^Unable to locate package noderax-test-\w+-none$/);
    await fails("packageInstall", ["base=9"], /^Version '9' for '.*base' was not found$/);
    await fails(
      "packageInstall",
      ["base/nosuite"],
      /^Release 'nosuite' for '.*base' was not found$/,
    );
    await fails(
      "packageInstall",
      ["lost"],
      /; noderax-test-\w+-lost : Depends: \S+-nowhere but it is not installable$/,
    );
    await fails("packageRemove", ["none"], /^Unable to locate package/);
    await it.run("packageInstall", ["base"]);
    for (const trick of ["base-", "base+", "bas.", "ba.e", "base-:amd64"]) {
      for (const type of ["packageInstall", "packageRemove", "packagePurge"]) {
        await fails(type, [trick], /^Unable to locate package noderax-test-/);
      }
    }
    for (const hostile of ["base -y", "ba*", "base;id", "base=1.0-", "base/x.deb"]) {
      await fails("packageInstall", [hostile], /^bad payload: payload\.names\.0: /);
    }
    assert.equal(await it.repository.state("base"), "installed 1.0");

    const story = await it.run("packageInstall", ["fails"]);
    const name = it.repository.name("fails");
    const repair = `dpkg has left ${name} half done: run "dpkg --configure -a" to repair it`;
    assert.equal(story.status, "failed");
    assert.equal(story.exitCode, 100);
    assert.match(
      story.error,
      /^dpkg: processing package .* returned error exit status 3; Sub-proc/,
    );
    assert(story.error.endsWith(`; ${repair}`), story.error);
    assert.deepEqual(story.changed, ["fails >1.0"]);
    assert.match(story.system, /packages are only half configured/);
    assert(story.system.endsWith(`[${repair}]`), story.system);
    for (const suffix of ["fails", "lost"]) {
      const next = await fails("packageInstall", [suffix], /; dpkg has left /);
      assert(next.error.endsWith(`; ${repair}`), next.error);
    }
    assert.deepEqual((await it.run("packagePurge", ["fails"])).changed, ["fails 1.0>"]);
    assert.deepEqual(it.fleet.controlPlane.violations, []);
  },
);

Deno.test("a cancelled change leaves when dpkg has finished what it is at", REAL, async () => {
  await using it = await PackageFleet.start([
    { suffix: "held", version: "1.0", postinst: HELD },
    { suffix: "heldfails", version: "1.0", postinst: `${HELD}; exit 4` },
  ]);
  const cancelled = async (suffix: string) => {
    const id = it.queue("packageInstall", [suffix]);
    await it.held();
    it.fleet.controlPlane.cancelTask(id);
    await it.says(id, /apt-get is asked to stop/);
    // Now apt has half a minute.
    await it.go();
    const story = it.story(await it.fleet.ended(id));
    await Promise.all(["go", "held"].map((file) => Deno.remove(it.repository.path(file))));
    assert.equal(story.status, "cancelled");
    assert.deepEqual(story.changed, [`${suffix} >1.0`]);
    return story.error;
  };
  assert.equal(await cancelled("held"), "cancelled: Stopped by operator");
  assert.equal(await it.repository.state("held"), "installed 1.0");
  assert.equal(
    await cancelled("heldfails"),
    `cancelled: Stopped by operator; dpkg has left ${it.repository.name("heldfails")} half done: ` +
      'run "dpkg --configure -a" to repair it',
  );
  assert.deepEqual(it.fleet.controlPlane.violations, []);
});

Deno.test(
  "changes wait for each other, and for another program that holds dpkg",
  REAL,
  async () => {
    await using it = await PackageFleet.start([
      { suffix: "held", version: "1.0", postinst: HELD },
      { suffix: "base", version: "1.0" },
    ]);
    const first = it.queue("packageInstall", ["held"]);
    await it.held();
    const second = it.queue("packageInstall", ["base"]);
    const third = it.queue("packagePurge", ["base"]);
    for (const id of [second, third]) await it.says(id, /waiting for another package change/);
    it.fleet.controlPlane.cancelTask(third);
    assert.equal((await it.fleet.ended(third)).status, "cancelled");
    await it.go();
    for (const id of [first, second]) {
      assert.equal((await it.fleet.ended(id)).status, "success");
    }
    await it.run("packagePurge", ["held", "base"]);
    await Promise.all(["go", "held"].map((file) => Deno.remove(it.repository.path(file))));

    const other = it.repository.spawn("apt-get", "-y", "install", it.repository.name("held"));
    await it.held();
    const waiting = it.queue("packageInstall", ["base"]);
    await it.says(waiting, /^\[dpkg is busy: waiting up to 120 s for process \d+ \(apt-get\)\]$/m);
    await it.go();
    await it.repository.success(other);
    const { status, changed, stdout } = it.story(await it.fleet.ended(waiting));
    assert.deepEqual([status, changed], ["success", ["base >1.0"]]);
    assert.doesNotMatch(stdout, /Waiting for cache lock/);
    assert.deepEqual(it.fleet.controlPlane.violations, []);
  },
);

Deno.test("list and search tell what is there, without a change", REAL, async () => {
  await using it = await PackageFleet.start([
    { suffix: "base", version: "1.0" },
    { suffix: "base", version: "1.1" },
    { suffix: "plus++", version: "1.0" },
  ]);
  const { controlPlane: cp } = it.fleet;
  await it.run("packageInstall", ["base=1.0"]);
  const list = await it.fleet.ended(cp.queueTask({ type: "packageList", payload: {} }));
  const { stdout } = await new Deno.Command("sh", { args: ["-c", "dpkg-query -W | wc -l"] })
    .output();
  const packages = list.result?.packages;
  assert(Array.isArray(packages));
  const count = packages.length;
  tell(
    `packageList: ${count} packages in ${list.result?.durationMs} ms; dpkg-query -W | wc -l: ${
      new TextDecoder().decode(stdout).trim()
    }`,
  );
  assert.deepEqual(packages.find(({ name }) => name === it.repository.name("base")), {
    name: it.repository.name("base"),
    version: "1.0",
    architecture: "all",
    description: "tiny base",
  });
  assert.equal(list.completion?.output, `${count} packages are installed`);
  assert.equal(list.logs.length, 1);
  assert.equal(list.result?.exitCode, 0);

  const found = async (payload: Record<string, unknown>) => {
    const task = await it.fleet.ended(cp.queueTask({ type: "packageSearch", payload }));
    assert.equal(task.status, "success");
    return task.result?.results;
  };
  const prefix = it.repository.name("");
  const plus = {
    name: `${prefix}plus++`,
    version: "1.0",
    architecture: "all",
    description: "tiny plus++",
  };
  const base = { ...plus, name: `${prefix}base`, version: "1.1", description: "tiny base" };
  assert.deepEqual(await found({ query: `${prefix} TINY` }), [base, plus]);
  assert.deepEqual(await found({ query: "", term: `tiny ${prefix}base` }), [base]);
  assert.deepEqual(await found({ query: `${prefix}plus++` }), [plus]);
  assert.deepEqual(await found({ query: `${prefix}pl.s` }), []);
  assert.deepEqual(cp.violations, []);
});

Deno.test("a machine without a package manager that is known says what is supported", async () => {
  await using fleet = await Fleet.start();
  const programs = join(fleet.folder, "bin");
  await Deno.mkdir(programs);
  // What is released needs some of the others to start.
  for await (const { name } of Deno.readDir("/usr/bin")) {
    if (!/^(dpkg|apt|rpm|dnf|yum|zypper|apk|pacman)/.test(name)) {
      await Deno.symlink(`/usr/bin/${name}`, join(programs, name));
    }
  }
  await using _agent = await fleet.agent({ PATH: programs });
  const payloads = {
    packageList: {},
    packageSearch: { query: "zsh" },
    packageInstall: { names: ["zsh"] },
    packageRemove: { names: ["zsh"] },
    packagePurge: { names: ["zsh"] },
  };
  for (const [type, payload] of Object.entries(payloads)) {
    const task = await fleet.ended(fleet.controlPlane.queueTask({ type, payload }));
    assert.equal(task.status, "failed");
    assert.equal(
      task.completion?.error,
      "package tasks support apt (Debian, Ubuntu) and dnf (Fedora, RHEL and their relatives), " +
        "and this machine has neither",
      type,
    );
  }
  assert.deepEqual(fleet.controlPlane.violations, []);
});

Deno.test(
  "a change that does not leave in time is ended, what it leaves is told",
  REAL,
  async () => {
    await using repository = await PackageRepository.build([
      { suffix: "held", version: "1.0", postinst: HELD },
    ]);
    const stop = new AbortController();
    const outcome = install(repository.name("held"), {
      root: withEnv(asAgent, repository.env),
      signal: stop.signal,
      leaveMs: 200,
    });
    await eventually(
      "the held package",
      () => Deno.stat(repository.path("held")).catch(() => null),
    );
    stop.abort();
    const { aftermath, result, system } = await outcome;
    assert.equal(
      aftermath,
      `dpkg has left ${repository.name("held")} half done: run "dpkg --configure -a" to repair it`,
    );
    assert.deepEqual(result?.changed, [{ name: repository.name("held"), to: "1.0" }]);
    assert.match(system, /^\[apt-get is asked to stop.*\n[^]*packages are only half configured/);
  },
);

Deno.test("an agent that is not root goes through sudo, and tells its refusal", REAL, async () => {
  await using repository = await PackageRepository.build([{ suffix: "base", version: "1.0" }]);
  const name = repository.name("base");
  const sudo = async (script: string) => {
    await Deno.writeTextFile(repository.path("sudo"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const env = { PATH: `${repository.folder}:/usr/sbin:/usr/bin:/sbin:/bin` };
    return await install(name, { root: withEnv(bySudo, env), sudo: true });
  };
  const refused = await sudo("echo 'sudo: a password is required' >&2; exit 1");
  assert.equal(refused.status, "failed");
  assert.match(refused.error ?? "", /^sudo refuses to run this as root: a password is required /);
  // What sudo lets through: no question, then the command with its arguments.
  const through = await sudo(
    `export ${Object.entries(repository.env).map((pair) => pair.join("="))}
     [ "$1 $2 $3" = "-n -H --" ] || exit 9; shift 3; exec "$@"`,
  );
  assert.equal(through.status, "success");
  assert.deepEqual(through.result?.changed, [{ name, to: "1.0" }]);
});

Deno.test("a root access profile without package changes refuses them", REAL, async () => {
  const root: Launch = () => assert.fail("nothing is to be run as root");
  const refused = install("no-such-package", { root, refusal: "the profile does not allow it" });
  await assert.rejects(refused, { message: "the profile does not allow it" });
});
