import assert from "node:assert/strict";
import type { Holder } from "../system/kernel_locks.ts";
import { finding, machine, tools } from "./_test_context.ts";
import { machineChecks } from "./machine_checks.ts";

const DEBIAN = { "dpkg --version": "Debian dpkg", "apt-get --version": "apt 2.6.1 (amd64)" };

Deno.test("packages: a clean dpkg, a broken one, a busy one, none", async () => {
  const packages = (answers: Parameters<typeof tools>[0], holder?: Holder) =>
    finding(machineChecks(machine(tools(answers), { lockHolder: () => holder })), "packages");
  assert.equal((await packages({ ...DEBIAN, "dpkg --audit": "" })).status, "ok");
  assert.deepEqual(await packages({}), {
    status: "skip",
    found: "no dpkg: package tasks need Debian or Ubuntu",
  });
  const broken = await packages({
    ...DEBIAN,
    "dpkg --audit": "The following packages are only half configured.\n half        Not done\n",
  });
  assert.deepEqual(broken, {
    status: "fail",
    found: "packages are half done: half",
    fix: "dpkg --configure -a && apt-get install -f",
  });
  const busy = await packages(DEBIAN, { pid: 4321, name: "apt-get", certain: true });
  assert.equal(busy.status, "warn");
  assert.equal(busy.found, "apt-get (process 4321) changes packages now");
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
