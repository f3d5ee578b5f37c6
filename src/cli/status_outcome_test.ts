import assert from "node:assert/strict";
import type { ServiceState } from "../system/systemd.ts";
import { downHealth } from "./status.ts";

const STOPPED: ServiceState = {
  load: "loaded",
  active: "inactive",
  sub: "dead",
  enabled: "enabled",
  since: new Date(0),
  pid: 0,
  invocation: "",
  restarts: 0,
  result: "success",
  lastExit: "exit code 0",
};

Deno.test("an agent that does not run: why, and what to run", () => {
  const cases: [service: Partial<ServiceState> | undefined, what: string, fix: string][] = [
    [undefined, "the agent does not run", "noderax-agent run"],
    [{ load: "not-found" }, "the service is not installed", "sudo noderax-agent install"],
    [{ load: "masked" }, "the unit of the service is masked", "systemctl cat noderax-agent"],
    [{}, "the service is stopped", "sudo noderax-agent start"],
    [
      { active: "activating", result: "exit-code", restarts: 7, lastExit: "exit code 1" },
      "the service fails again and again: systemd has started it again 7 times; " +
      "its last exit: exit code 1",
      "sudo noderax-agent doctor finds the cause",
    ],
    [
      { active: "failed", result: "watchdog", lastExit: "signal 6" },
      "the service has failed; its last exit: signal 6 (watchdog)",
      "sudo noderax-agent doctor finds the cause",
    ],
  ];
  for (const [service, what, fix] of cases) {
    const health = downHealth(service && { ...STOPPED, ...service });
    assert.deepEqual([health.state, health.code, health.what, health.fix], [
      "unhealthy",
      "not_running",
      what,
      fix,
    ]);
  }
});
