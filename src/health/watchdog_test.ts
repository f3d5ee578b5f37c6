import assert from "node:assert/strict";
import { Logger } from "../system/logger.ts";
import { Watchdog, watchdogIntervalMs } from "./watchdog.ts";

Deno.test("the watchdog is fed while the agent is alive; the log says once why it is not", () => {
  let notAlive: string | undefined;
  let fed = 0;
  const lines: string[] = [];
  using watchdog = new Watchdog({
    intervalMs: 3_600_000,
    notAlive: () => notAlive,
    feed: () => fed++,
    logger: new Logger({ write: (line) => lines.push(line) }),
  });
  assert.equal(fed, 1);
  watchdog.look();
  assert.equal(fed, 2);
  notAlive = "no claim has come to an end for 130 s";
  watchdog.look();
  watchdog.look();
  assert.equal(fed, 2);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /"error".*watchdog is no longer notified.*130 s/);
  notAlive = undefined;
  watchdog.look();
  assert.equal(fed, 3);
  notAlive = "again";
  watchdog.look();
  assert.equal(lines.length, 2);
});

Deno.test("the watchdog is fed three times as often as it must be, if it watches this process", () => {
  const interval = (variables: Record<string, string>) =>
    watchdogIntervalMs((name) => variables[name], 42);
  assert.equal(interval({ WATCHDOG_USEC: "30000000" }), 10_000);
  assert.equal(interval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "42" }), 10_000);
  assert.equal(interval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "41" }), undefined);
  for (const bad of ["", "0", "-1", "soon"]) {
    assert.equal(interval({ WATCHDOG_USEC: bad }), undefined);
  }
  assert.equal(interval({}), undefined);
});
