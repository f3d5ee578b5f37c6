import assert from "node:assert/strict";
import { DPKG_FORMAT } from "../packages/dpkg.ts";
import { RPM_FORMAT } from "../packages/rpm_database.ts";
import type { Holder } from "../system/kernel_locks.ts";
import { finding, machine, tools } from "./_test_context.ts";
import { machineChecks } from "./machine_checks.ts";

type Answers = Parameters<typeof tools>[0];

/** The package managers' own answers, on a machine that has `there`. */
async function packages(
  there: string[],
  answers: Answers,
  lockHolder: () => Holder | undefined = () => undefined,
) {
  const run = tools(answers);
  const context = machine((program, ...args) => {
    if (program !== "/bin/sh") return run(program, ...args);
    return Promise.resolve({ code: 0, stdout: there.join("\n"), stderr: "" });
  }, { lockHolder });
  return await finding(machineChecks(context), "packages");
}

const DPKG_QUERY = `dpkg-query -W -f ${DPKG_FORMAT}`;
const DEBIAN = { "apt-get --version": "apt 2.6.1 (amd64)", [DPKG_QUERY]: "" };

Deno.test("packages: a clean dpkg, a broken one, a busy one, none", async () => {
  const debian = ["dpkg", "apt-get"];
  assert.deepEqual(await packages(debian, DEBIAN), {
    status: "ok",
    found: "apt-get 2.6.1, and dpkg finds nothing half done",
  });
  const none = await packages([], {});
  assert.equal(none.status, "skip");
  assert.match(none.found, /^package tasks support apt .* and this machine has neither$/);
  const broken = { [DPKG_QUERY]: "half-configured\thalf\thalf\t1\tall\tx\n" };
  assert.deepEqual(await packages(debian, { ...DEBIAN, ...broken, "dpkg --audit": "" }), {
    status: "fail",
    found: "dpkg has left half half done",
    fix: "dpkg --configure -a",
  });
  const holder = { pid: 4321, name: "apt-get", certain: true };
  const busy = await packages(debian, DEBIAN, () => holder);
  assert.equal(busy.status, "warn");
  assert.equal(busy.found, "apt-get (process 4321) changes packages now");
  // One that has begun since the locks were looked at has left nothing half done.
  let hasBegun = false;
  const since = await packages(debian, {
    ...DEBIAN,
    ...broken,
    get "dpkg --audit"() {
      hasBegun = true;
      return "";
    },
  }, () => hasBegun ? holder : undefined);
  assert.deepEqual(since, busy);
});

Deno.test("packages: rpm with dnf, what dnf finds broken, a damaged database, no dnf", async () => {
  const fedora = ["rpm", "dnf"];
  const list = `rpm -qa --qf ${RPM_FORMAT}`;
  const answers = {
    "dnf --version": "4.14.0\n  Installed: dnf",
    [list]: "bash\t0\t5\t1\tx86_64\tA shell\n",
    "dnf --assumeno -q check --duplicates": "",
    "dnf --assumeno -q check --dependencies": "",
  };
  assert.deepEqual(await packages(fedora, answers), {
    status: "ok",
    found: "dnf 4.14.0, and rpm finds nothing half done",
  });
  const lacks = { code: 1, stdout: "top-1.0-1.noarch has missing requires of base\n" };
  const broken = await packages(fedora, {
    ...answers,
    "dnf --assumeno -q check --dependencies": lacks,
  });
  assert.deepEqual(broken, {
    status: "fail",
    found: "top-1.0-1.noarch lack what they need",
    fix: "dnf reinstall top-1.0-1.noarch",
  });
  const damaged = { code: 1, stderr: "error: sqlite failure: malformed" };
  const unread = await packages(fedora, { ...answers, [list]: damaged });
  assert.equal(unread.fix, "rpm --rebuilddb");
  const alone = await packages(["rpm"], { "rpm --version": "RPM version 4.18.0", [list]: "" });
  assert.deepEqual([alone.status, alone.fix], ["warn", "microdnf install dnf"]);
});

Deno.test("systemd: the service as it may be", async () => {
  const systemd = (lines: Record<string, string>) => {
    const stdout = Object.entries(lines).map(([key, value]) => `${key}=${value}`).join("\n");
    const run = async (program: string) =>
      await tools({ systemctl: Object.keys(lines).length > 0 ? stdout : { code: 1 } })(program);
    return finding(machineChecks(machine(run)), "systemd");
  };
  const runs = {
    LoadState: "loaded",
    ActiveState: "active",
    SubState: "running",
    UnitFileState: "enabled",
    MainPID: "77",
  };
  const cases: [Record<string, string>, string, RegExp][] = [
    [{}, "skip", /does not run this machine/],
    [{ LoadState: "not-found" }, "warn", /not installed/],
    [{ LoadState: "bad-setting" }, "fail", /is bad-setting/],
    [runs, "ok", /is active \(running\), process 77$/],
    [{ ...runs, UnitFileState: "disabled" }, "warn", /disabled/],
    [{ ...runs, ActiveState: "inactive", SubState: "dead" }, "warn", /inactive \(dead\)/],
    [{ ...runs, ActiveState: "failed", Result: "watchdog" }, "fail", /it ended by watchdog/],
  ];
  for (const [lines, status, found] of cases) {
    const result = await systemd(lines);
    assert.equal(result.status, status, result.found);
    assert.match(result.found, found);
    assert.equal(result.fix === undefined, status === "ok" || status === "skip");
  }
});
