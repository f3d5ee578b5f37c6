import assert from "node:assert/strict";
import { PackageFleet } from "./_package_fleet.ts";
import { CAN_CHANGE_PACKAGES, HELD } from "./_packages.ts";

const REAL = { ignore: !CAN_CHANGE_PACKAGES };

Deno.test("what another program changes meanwhile is not told as a task's own", REAL, async () => {
  await using it = await PackageFleet.start([
    { suffix: "held", version: "1.0", postinst: HELD },
    { suffix: "other", version: "1.0" },
    { suffix: "base", version: "1.0" },
  ]);
  const { repository, fleet: { controlPlane } } = it;
  // Another apt that has the lock, but has changed nothing yet.
  const hook = HELD.replaceAll("$FOLDER", repository.folder);
  const hooked = ["-o", `DPkg::Pre-Invoke::=${hook}`, "-y", "install", repository.name("other")];
  const other = repository.spawn("apt-get", ...hooked);
  await it.held();
  const waiting = it.queue("packageInstall", ["base"]);
  await it.says(waiting, /dpkg is busy/);
  await it.go();
  await repository.success(other);
  const { status, changed } = it.story(await it.fleet.ended(waiting));
  assert.deepEqual([status, changed], ["success", ["base >1.0"]]);
  await Promise.all(["go", "held"].map((file) => Deno.remove(repository.path(file))));

  const busy = repository.spawn("apt-get", "-y", "install", repository.name("held"));
  await it.held();
  const cancelled = it.queue("packagePurge", ["base"]);
  await it.says(cancelled, /dpkg is busy/);
  controlPlane.cancelTask(cancelled);
  const story = it.story(await it.fleet.ended(cancelled));
  assert.deepEqual([story.status, story.changed], ["cancelled", []]);
  assert.equal(story.error, "cancelled: Stopped by operator");
  await it.go();
  await repository.success(busy);
  assert.deepEqual(controlPlane.violations, []);
});

Deno.test(
  "what a change has left that outlived its agent is told at the next start",
  REAL,
  async () => {
    await using it = await PackageFleet.start([
      { suffix: "held", version: "1.0", postinst: `${HELD}; exit 4` },
    ]);
    const id = it.queue("packageInstall", ["held"]);
    await it.held();
    await it.restart();
    await it.go();
    const { status, error, system } = it.story(await it.fleet.ended(id));
    const repair = `dpkg has left ${it.repository.name("held")} half done: ` +
      'run "dpkg --configure -a" to repair it';
    assert.equal(status, "failed");
    assert.equal(error, `the agent was restarted while the task ran; ${repair}`);
    assert(system.endsWith(`[${repair}]`), system);
    assert.deepEqual(it.fleet.controlPlane.violations, []);
  },
);

Deno.test(
  "a change waits for every lock of apt, those of its downloads and of its lists too",
  REAL,
  async () => {
    await using it = await PackageFleet.start([{ suffix: "base", version: "1.0" }]);
    const { repository } = it;
    for (const folder of ["cache/archives", "lists"]) {
      await repository.lock(`${folder}/lock`);
      const id = it.queue("packageInstall", ["base"]);
      await it.says(id, /^\[dpkg is busy: waiting up to 120 s for process \d+ \(perl\)\]$/m);
      await it.go();
      const { status, changed, error } = it.story(await it.fleet.ended(id));
      assert.deepEqual([status, changed, error], ["success", ["base >1.0"], ""]);
      await it.run("packagePurge", ["base"]);
      await Deno.remove(repository.path("go"));
    }
    assert.deepEqual(it.fleet.controlPlane.violations, []);
  },
);
