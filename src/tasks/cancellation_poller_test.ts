import assert from "node:assert/strict";
import type { TaskControl } from "../control_plane/schemas.ts";
import { Logger } from "../system/logger.ts";
import { quickestMs } from "../system/_quickest.ts";
import type { EndCause } from "./task_end.ts";
import { pollCancellation } from "./cancellation_poller.ts";

/** Watches a task whose control answers these, until the first cause. */
async function firstCause(...answers: (Omit<TaskControl, "taskId"> | Error)[]): Promise<EndCause> {
  const stop = new AbortController();
  const control = () => {
    const answer = answers.shift() ?? new Error("asked too often");
    return answer instanceof Error
      ? Promise.reject(answer)
      : Promise.resolve({ taskId: "t", ...answer });
  };
  const logger = new Logger({ write: () => {} });
  const never = () => new Promise<void>(() => {});
  for await (const cause of pollCancellation(control, never, stop.signal, logger)) {
    stop.abort();
    return cause;
  }
  assert.fail("it ended by itself");
}

Deno.test("a cancellation is seen soon after the start, with its reason", async () => {
  // Later looks come every 2 s.
  const tookMs = await quickestMs(1_500, async () => {
    assert.deepEqual(
      await firstCause({ status: "running", cancelRequested: true, cancelReason: "wrong host" }),
      { kind: "cancelled", reason: "wrong host" },
    );
  });
  assert(tookMs < 1_500, `it took ${tookMs} ms`);
  assert.deepEqual(
    await firstCause({ status: "running", cancelRequested: true, cancelReason: null }),
    { kind: "cancelled", reason: undefined },
  );
});

Deno.test("a task that has ended on the control plane is over, whatever else is said", async () => {
  for (const status of ["cancelled", "failed", "success"]) {
    assert.deepEqual(
      await firstCause({ status, cancelRequested: true }),
      { kind: "ended on the control plane", status },
    );
  }
});

Deno.test("a look that fails is as good as none, the next one tells", async () => {
  assert.deepEqual(
    await firstCause(new Error("reset"), { status: "running", cancelRequested: true }),
    { kind: "cancelled", reason: undefined },
  );
});
