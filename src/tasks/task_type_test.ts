import assert from "node:assert/strict";
import * as z from "@zod/zod";
import { describeBadPayload, timeLimitMs } from "./task_type.ts";

const DEFAULT_MS = 600_000;

function limitOf(payload: unknown, timeoutSeconds?: number): number {
  return timeLimitMs({ payload, timeoutSeconds }, DEFAULT_MS);
}

Deno.test("a time limit may have any of these shapes", () => {
  const shapes: [unknown, number][] = [
    [{ timeout: "30s" }, 30_000],
    [{ timeout: "1h2m3.5s" }, 3_723_500],
    [{ timeout: "250ms" }, 250],
    [{ timeout: 30 }, 30_000],
    [{ timeout: "30" }, 30_000],
    [{ timeout: 0.5 }, 500],
    [{ timeout_seconds: 45 }, 45_000],
    [{ timeout_seconds: "45" }, 45_000],
    [{ timeout_seconds: "45s" }, 45_000],
    [{ timeout_seconds: 1.5 }, 1_500],
  ];
  for (const [payload, ms] of shapes) assert.equal(limitOf(payload), ms, JSON.stringify(payload));
});

Deno.test("the task's own limit is before the payload's, and that before the default", () => {
  assert.equal(limitOf({ timeout_seconds: 5, timeout: "9s" }, 3), 3_000);
  assert.equal(limitOf({ timeout: "nonsense" }, 3), 3_000);
  assert.equal(limitOf({ timeout_seconds: 5, timeout: "9s" }), 5_000);
  assert.equal(limitOf({ timeout_seconds: null, timeout: "9s" }), 9_000);
  for (const payload of [{}, undefined, null, "text", 5, { timeout: undefined }]) {
    assert.equal(limitOf(payload), DEFAULT_MS, JSON.stringify(payload));
  }
});

Deno.test("zero, null and nothing set no limit of their own", () => {
  for (const timeout of [0, "0", "0s", "", null]) {
    assert.equal(limitOf({ timeout }), DEFAULT_MS, JSON.stringify(timeout));
    assert.equal(limitOf({ timeout_seconds: timeout }), DEFAULT_MS, JSON.stringify(timeout));
  }
});

Deno.test("a limit beyond what a timer can hold is one that a timer can hold", () => {
  for (const payload of [{ timeout: "999999h" }, { timeout_seconds: 1e300 }]) {
    assert.equal(limitOf(payload), 2 ** 31 - 1);
  }
  assert.equal(limitOf({}, 1e12), 2 ** 31 - 1);
});

Deno.test("a limit that is none is refused in one sentence that names the field", () => {
  const wrong = ["soon", -1, "-5s", true, {}, [], "1.2.3", ".", "5 s", "1d", "Infinity", [30]];
  for (const key of ["timeout", "timeout_seconds"]) {
    for (const value of wrong) {
      assert.throws(() => limitOf({ [key]: value }), (error) => {
        assert(error instanceof z.ZodError, JSON.stringify(value));
        const sentence = describeBadPayload(error);
        assert(sentence.startsWith(`bad payload: payload.${key}: must be seconds or`), sentence);
        return true;
      }, JSON.stringify(value));
    }
  }
});
