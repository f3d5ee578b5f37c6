import assert from "node:assert/strict";
import { PackageFleet } from "./_package_fleet.ts";
import { CAN_CHANGE_PACKAGES } from "./_packages.ts";

const REAL = { ignore: !CAN_CHANGE_PACKAGES };

Deno.test("an exact version may be an older one, but of no other package", REAL, async () => {
  await using it = await PackageFleet.start([
    { suffix: "base", version: "1.0" },
    { suffix: "base", version: "1.1" },
    { suffix: "top", version: "1.0", depends: "base (= 1.0)" },
    { suffix: "top", version: "1.1", depends: "base" },
  ]);
  await it.run("packageInstall", ["top"]);
  const refused = await it.run("packageInstall", ["top=1.0"]);
  assert.deepEqual([refused.status, refused.changed], ["failed", []]);
  assert.match(refused.error, /Unable to correct problems|nmet dependencies/);
  for (const name of ["base", "top"]) {
    const { status, changed, error } = await it.run("packageInstall", [`${name}=1.0`]);
    assert.deepEqual([status, changed, error], ["success", [`${name} 1.1>1.0`], ""]);
  }
  assert.deepEqual(it.fleet.controlPlane.violations, []);
});

Deno.test("a name that packages only provide is installed as apt would", REAL, async () => {
  await using it = await PackageFleet.start([
    { suffix: "base", version: "1.0", provides: ["api-1.0", "any++", "odd-"] },
    { suffix: "top", version: "1.0", depends: "nobody.has" },
  ]);
  for (const name of ["api-1.0", "any++", "odd-"]) {
    const { status, changed, error } = await it.run("packageInstall", [name]);
    assert.deepEqual([status, changed, error], ["success", ["base >1.0"], ""]);
    await it.run("packagePurge", ["base"]);
  }
  for (const name of ["nobody.has", "api-1.1", "ap.-1.0", "any+"]) {
    const { status, error } = await it.run("packageInstall", [name]);
    assert.equal(status, "failed");
    assert.equal(error, `Unable to locate package ${it.repository.name(name)}`);
  }
  assert.deepEqual(it.fleet.controlPlane.violations, []);
});
