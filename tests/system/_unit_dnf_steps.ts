import assert from "node:assert/strict";
import { SERVICE } from "../../src/system/paths.ts";
import { tell } from "../_together.ts";
import type { Steps } from "./_scene.ts";

/** What the scripts of packages wait for. */
const GO = "/go";

/** Makes of this machine one of rpm and dnf, which has some packages to install. */
const MACHINE = `set -e
mv /var/lib/dpkg/status /var/lib/dpkg/status.away
mkdir -p /etc/rpm /srv/rpms/specs /var/lib/rpm
echo '%_dbpath /var/lib/rpm' >/etc/rpm/macros.dbpath
cd /srv/rpms
for name in base one two bad; do
  wait='posix.mkdir("/held"); io.open("/held/'$name'", "w"):close()
for i = 1, 60 do if posix.stat("${GO}") then break end; posix.sleep(1) end'
  case $name in base) wait='x = 1' ;; bad) wait="$wait; error('broken')" ;; esac
  printf '%s\\n' "Name: $name" 'Version: 1.0' 'Release: 1' "Summary: tiny $name" 'License: MIT' \
    'BuildArch: noarch' '%description' 'A package of the tests.' '%post -p <lua>' "$wait" '%files' \
    >"specs/$name.spec"
done
rpmbuild -bb --quiet --define '_topdir /srv/rpms/build' --define '_rpmdir /srv/rpms/repo' specs/*.spec
createrepo_c -q repo
printf '[main]\\ngpgcheck=0\\nreposdir=/nowhere\\n[tiny]\\nname=tiny\\nbaseurl=file:///srv/rpms/repo\\n' \
  >/etc/dnf/tiny.conf
printf '#!/bin/sh\\nexec /usr/bin/dnf -c /etc/dnf/tiny.conf --releasever=1 "$@"\\n' >/usr/local/bin/dnf
chmod 755 /usr/local/bin/dnf`;

/** Makes it one of dpkg and apt again. */
const BACK = `mv /var/lib/dpkg/status.away /var/lib/dpkg/status
rm -rf /usr/local/bin/dnf /etc/rpm/macros.dbpath /held ${GO}`;

/** Changes of packages by dnf, which outlive the agent. */
export const UNIT_DNF_STEPS: Steps = {
  "a change by dnf goes on through a restart and a kill, and so does one that waits": async (
    scene,
  ) => {
    const { machine, controlPlane } = scene;
    await machine.output("sh", "-c", MACHINE);
    const install = (name: string) =>
      controlPlane.queueTask({ type: "packageInstall", payload: { names: [name] } });
    const held = (name: string) =>
      scene.until("its script", async () => {
        return (await machine.run("test", "-e", `/held/${name}`)).code === 0;
      });
    const kill = async () => {
      await scene.another(await scene.kill());
      await scene.well();
    };
    const one = install("one");
    await held("one");
    const waits = install("base");
    await controlPlane.waitForTask(waits, ["running"]);
    await machine.output("systemctl", "restart", SERVICE);
    await scene.well();
    await kill();
    await machine.output("touch", GO);
    for (const [id, name] of [[one, "one"], [waits, "base"]] as const) {
      const { status, completion, result } = await scene.ended(id);
      assert.equal(status, "success", String(completion?.error));
      assert.deepEqual(result?.changed, [{ name, to: "1.0-1" }]);
    }
    assert.doesNotMatch(controlPlane.streamText(one, "system"), /rpm is busy/);
    assert.doesNotMatch(controlPlane.streamText(waits, "system"), /rpm is busy/);
    tell(
      `\n# a change by dnf, over a restart and a kill\n${controlPlane.streamText(one, "stdout")}`,
    );

    await machine.output("rm", GO);
    const bad = install("bad");
    await held("bad");
    await kill();
    await machine.output("touch", GO);
    const { result } = await scene.ended(bad);
    assert.match(String(result?.error), /bad/);
    assert.deepEqual(result?.changed, [{ name: "bad", to: "1.0-1" }]);

    await machine.output("rm", GO);
    const cancelled = install("two");
    await held("two");
    await machine.output("systemctl", "restart", SERVICE);
    controlPlane.cancelTask(cancelled, "enough");
    const says = /^\[rpm is changing packages: it is left to finish\]$/m;
    await controlPlane.waitFor(() => says.test(controlPlane.streamText(cancelled, "system")));
    await machine.output("touch", GO);
    const end = await scene.ended(cancelled);
    assert.equal(end.status, "cancelled");
    assert.deepEqual(end.result?.changed, [{ name: "two", to: "1.0-1" }]);
    const all = await machine.output("rpm", "-qa", "--qf", "%{NAME}\n");
    assert.deepEqual(all.split("\n").toSorted(), ["bad", "base", "one", "two"]);
    await machine.output("sh", "-c", BACK);
  },
};
