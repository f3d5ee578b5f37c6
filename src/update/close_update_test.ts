import assert from "node:assert/strict";
import { RefusedError } from "../control_plane/errors.ts";
import type { UpdateProgress } from "../control_plane/schemas.ts";
import { closeUpdate, type CloseUpdateDeps } from "./update_unit.ts";
import { readUpdateRecord, type Update, writeUpdateRecord } from "./update_record.ts";

const UNDER_WAY: Update = {
  targetId: "target-1",
  targetVersion: "2.1.0",
  step: "installing",
  percent: 70,
  closed: false,
};

/** An agent of version 2.0.0 that starts and finds `last`; gives what it tells, and what it keeps. */
async function start(
  last: Update | undefined,
  options: Partial<CloseUpdateDeps> & { states?: string[]; onAsked?: () => Promise<void> } = {},
) {
  const stateFolder = await Deno.makeTempDir({ prefix: "close_update_" });
  await using _folder = {
    [Symbol.asyncDispose]: () => Deno.remove(stateFolder, { recursive: true }),
  };
  const rolledBack = [{ version: "1.9.0", at: "2026-01-01T00:00:00.000Z", why: "It broke." }];
  await writeUpdateRecord(stateFolder, { version: 1, rolledBack, ...last ? { last } : {} });
  const reports: [string, UpdateProgress][] = [];
  const warnings: string[] = [];
  const states = [...options.states ?? []];
  await closeUpdate({
    api: {
      updateProgress: (targetId, progress) => {
        reports.push([targetId, progress]);
        return Promise.resolve();
      },
    },
    stateFolder,
    run: () => Promise.resolve({ code: 0, stdout: states.shift() ?? "inactive", stderr: "" }),
    warn: (sentence) => warnings.push(sentence),
    signal: new AbortController().signal,
    version: "2.0.0",
    intervalMs: 1,
    ...options,
  });
  const record = await readUpdateRecord(stateFolder);
  assert.deepEqual(record.rolledBack, rolledBack);
  return { reports, warnings, last: record.last, statesLeft: states.length };
}

Deno.test("an update that was interrupted is reported as failed by the next start", async () => {
  const message = "The update to 2.1.0 was interrupted (installing); 2.0.0 runs.";
  const { reports, warnings, last } = await start(UNDER_WAY);
  assert.deepEqual(reports, [
    ["target-1", { status: "failed", progressPercent: 70, message }],
  ]);
  assert.deepEqual(warnings, [message]);
  assert.deepEqual(last, { ...UNDER_WAY, closed: true });
});

Deno.test("a failure that could not be told is told by the next start", async () => {
  const failed = "2.1.0 does not start. Version 2.0.0 was put back.";
  const { reports, last } = await start({ ...UNDER_WAY, step: "restarting", percent: 90, failed });
  assert.deepEqual(reports, [
    ["target-1", { status: "failed", progressPercent: 90, message: failed }],
  ]);
  assert.equal(last?.closed, true);
});

Deno.test("the version that was wanted needs no report, nor does a person's update", async () => {
  const done = await start(UNDER_WAY, { version: "2.1.0" });
  assert.deepEqual([done.reports, done.warnings, done.last?.closed], [[], [], true]);
  const { targetId: _, ...persons } = UNDER_WAY;
  const own = await start(persons);
  assert.deepEqual([own.reports, own.warnings, own.last], [[], [], persons]);
});

Deno.test("an update that is under way is waited for; what is closed is not asked after", async () => {
  const waited = await start(UNDER_WAY, { states: ["active", "deactivating", "failed"] });
  assert.deepEqual([waited.reports.length, waited.statesLeft], [1, 0]);
  for (const last of [undefined, { ...UNDER_WAY, closed: true }]) {
    const nothing = await start(last, { states: ["active"] });
    assert.deepEqual([nothing.reports, nothing.statesLeft], [[], 1]);
    const started = await start(last, { states: ["active"], started: true });
    assert.deepEqual([started.reports, started.statesLeft], [[], 0]);
  }
});

Deno.test("an update is not over because systemd does not answer for a moment", async () => {
  const waited = await start(UNDER_WAY, { states: ["", "active", "", "failed"] });
  assert.deepEqual([waited.reports.length, waited.statesLeft], [1, 0]);
});

Deno.test("a failure stays untold while the control plane is away, and when the agent stops", async () => {
  const stop = new AbortController();
  let asked = 0;
  const { last } = await start(UNDER_WAY, {
    api: {
      updateProgress: () => {
        if (++asked === 2) stop.abort();
        // A proxy before a control plane that is away.
        return Promise.reject(new RefusedError(404, "Not Found"));
      },
    },
    signal: stop.signal,
  });
  assert.equal(asked, 2);
  assert.equal(last?.closed, false);
});
