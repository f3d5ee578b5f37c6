import assert from "node:assert/strict";
import { Logger } from "../system/logger.ts";
import { guardProcess } from "./uncaught_errors.ts";

Deno.test("what nobody catches is logged once a minute, and does not end the process", () => {
  const target = new EventTarget();
  const lines: string[] = [];
  const logger = new Logger({ write: (line) => lines.push(line) });
  logger.hide("s3cret");
  const error = new Error("no s3cret is told");
  const init = { cancelable: true };
  const promise = new Promise<never>(() => {});
  const goesOn = () => [
    !target.dispatchEvent(new ErrorEvent("error", { ...init, error })),
    !target.dispatchEvent(
      new PromiseRejectionEvent("unhandledrejection", { ...init, promise, reason: "why" }),
    ),
  ];
  {
    using _guard = guardProcess(logger, target);
    assert.deepEqual(goesOn(), [true, true]);
    assert.deepEqual(goesOn(), [true, true]);
  }
  assert.deepEqual(goesOn(), [false, false]);
  const events = lines.map((line) => JSON.parse(line));
  assert.deepEqual(events.map((event) => event.error), ["no [redacted] is told", "why"]);
  assert.deepEqual(events.map(({ level }) => level), ["error", "error"]);
});
