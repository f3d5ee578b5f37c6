import assert from "node:assert/strict";
import { trialEnds } from "./update_unit.ts";
import { type Update, writeUpdateRecord } from "./update_record.ts";

/** How often systemd is asked by an agent of version 2.1.0 that finds `last`, until its trial ends. */
async function asked(
  last: Partial<Update>,
  onAsked: (times: number, save: (last: Partial<Update>) => Promise<void>) => Promise<string>,
  signal = new AbortController().signal,
): Promise<number> {
  const stateFolder = await Deno.makeTempDir({ prefix: "trial_" });
  await using _folder = {
    [Symbol.asyncDispose]: () => Deno.remove(stateFolder, { recursive: true }),
  };
  const update = { targetVersion: "2.1.0", step: "restarting", percent: 90, closed: false };
  const save = (last: Partial<Update>) =>
    writeUpdateRecord(stateFolder, { version: 1, rolledBack: [], last: { ...update, ...last } });
  await save(last);
  let times = 0;
  const run = async () => ({ code: 0, stdout: await onAsked(++times, save), stderr: "" });
  await trialEnds({ stateFolder, run, signal, version: "2.1.0", intervalMs: 1 });
  return times;
}

Deno.test("a version is on trial until its update is closed, or is under way no more", async () => {
  const closed = await asked({}, async (times, save) => {
    if (times === 3) await save({ closed: true });
    return "active";
  });
  assert.equal(closed, 3);
  assert.equal(await asked({}, (times) => Promise.resolve(times < 3 ? "active" : "failed")), 3);
  const stop = new AbortController();
  const stopped = await asked({}, () => (stop.abort(), Promise.resolve("active")), stop.signal);
  assert.equal(stopped, 1);
});

Deno.test("any other version, and one whose update is over, is on no trial", async () => {
  const active = () => Promise.resolve("active");
  assert.equal(await asked({ closed: true }, active), 0);
  assert.equal(await asked({ targetVersion: "2.2.0" }, active), 0);
});
