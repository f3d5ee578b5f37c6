import assert from "node:assert/strict";
import { compareVersions, ReleaseVersion } from "./update_record.ts";

Deno.test("versions are ordered as semantic versioning has them", () => {
  const ordered = ["1.9.9", "2.0.0-alpha", "2.0.0-alpha.1", "2.0.0-alpha.b", "2.0.0-rc.2"];
  ordered.push("2.0.0-rc.10", "2.0.0", "2.0.1", "2.10.0", "10.0.0");
  for (const [at, version] of ordered.entries()) {
    for (const [other, than] of ordered.entries()) {
      const sign = Math.sign(compareVersions(version, than));
      assert.equal(sign, Math.sign(at - other), `${version} and ${than}`);
    }
  }
});

Deno.test("a version names no other folder, and is no option", () => {
  for (const bad of ["", "2", "v2.0.0", "2.0.0/..", "../2.0.0", "-2.0.0", "2.0.0-", "2.0.0-a..b"]) {
    assert.equal(ReleaseVersion.safeParse(bad).success, false, bad);
  }
});
