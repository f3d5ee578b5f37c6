import assert from "node:assert/strict";
import { Logger } from "../system/logger.ts";
import { guardProcess } from "./uncaught_errors.ts";

/** Throws each of them to a guard; gives what was logged, and the codes that the process ended with. */
async function uncaught(...errors: unknown[]) {
  const target = new EventTarget();
  const log: Record<string, unknown>[] = [];
  const exits: number[] = [];
  const logger = new Logger({ write: (line) => log.push(JSON.parse(line)) });
  logger.hide("s3cret");
  const init = { cancelable: true };
  const promise = new Promise<never>(() => {});
  const throwAll = () =>
    errors.map((error, i) =>
      !target.dispatchEvent(
        i % 2 === 0
          ? new ErrorEvent("error", { ...init, error })
          : new PromiseRejectionEvent("unhandledrejection", { ...init, promise, reason: error }),
      )
    );
  {
    using _guard = guardProcess(logger, { target, exit: (code) => exits.push(code) });
    assert(throwAll().every((isHandled) => isHandled));
  }
  assert(!throwAll().some((isHandled) => isHandled));
  await new Promise((resolve) => setTimeout(resolve));
  return { log, exits };
}

Deno.test("what nobody catches ends the process, with its stack in the log", async () => {
  const { log, exits } = await uncaught(new Error("no s3cret is shown"), "why");
  assert.deepEqual(log.map(({ level, error }) => [level, error]), [
    ["error", "no [redacted] is shown"],
    ["error", "why"],
  ]);
  assert.match(String(log[0]?.stack), /no \[redacted\] is shown\n +at .*uncaught_errors_test/);
  assert.deepEqual(exits, [1, 1]);
});

Deno.test("a peer or a terminal that is gone ends nothing, and is logged once a minute", async () => {
  const eio = Object.assign(new Error("read EIO"), { code: "EIO" });
  const reset = new Deno.errors.ConnectionReset("Connection reset by peer");
  const { log, exits } = await uncaught(eio, reset, eio, reset);
  assert.deepEqual(log.map(({ level, error }) => [level, error]), [
    ["warn", "read EIO"],
    ["warn", "Connection reset by peer"],
  ]);
  assert.deepEqual(exits, []);
});
