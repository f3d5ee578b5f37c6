import assert from "node:assert/strict";
import { join } from "@std/path";
import { Logger } from "../system/logger.ts";
import { RootAccess } from "./root_access.ts";

const NOW = new Date("2026-01-02T03:04:05.000Z");
const lastAppliedAt = NOW.toISOString();

async function withFile(test: (path: string, open: () => Promise<RootAccess>) => Promise<void>) {
  const folder = await Deno.makeTempDir({ prefix: "root_access_" });
  const path = join(folder, "state", "root_access.json");
  const logger = new Logger({ write: () => {} });
  try {
    await test(path, () => RootAccess.open(path, logger, () => NOW));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("nothing is restricted or reported before anything was wished", () =>
  withFile(async (_path, open) => {
    const access = await open();
    assert.equal(access.report, undefined);
    for (const scope of ["operational", "task", "terminal"] as const) {
      assert.equal(access.allows(scope), undefined);
    }
  }));

Deno.test("a wish is in force at once, and after a restart until the next one", () =>
  withFile(async (path, open) => {
    const access = await open();
    access.apply({ profile: "task_terminal" });
    assert.equal(access.allows("task"), undefined);
    assert.match(access.allows("operational") ?? "", /"task_terminal"/);
    await access.kept();
    assert.deepEqual(access.report, { appliedProfile: "task_terminal", lastAppliedAt });
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);

    const next = await open();
    assert.deepEqual(next.report, access.report);
    assert.match(next.allows("operational") ?? "", /"task_terminal"/);
    next.apply({ profile: "off" });
    next.apply({ profile: "all" });
    await next.kept();
    assert.equal((await open()).report?.appliedProfile, "all");
  }));

Deno.test("what is told has been kept: a crash brings back nothing that was told to be over", () =>
  withFile(async (path, open) => {
    const access = await open();
    for (const profile of ["all", "off", "task"]) {
      const { report } = access;
      access.apply({ profile });
      assert.equal(access.profile, profile, "in force at once");
      assert.deepEqual(access.report, report, "told when it is kept");
      assert.deepEqual(await access.reportForClaim(), { appliedProfile: profile, lastAppliedAt });
      assert.equal(JSON.parse(await Deno.readTextFile(path)).profile, profile);
    }
  }));

Deno.test("an unknown profile is off and told, until a known one comes", () =>
  withFile(async (_path, open) => {
    const access = await open();
    access.apply({ profile: `super"\0\ud800${"x".repeat(1_000)}` });
    await access.kept();
    const { appliedProfile, lastError = "" } = access.report ?? {};
    assert.equal(appliedProfile, "off");
    assert.match(lastError, /^this agent knows no root access profile "super.*: it is off$/);
    assert(lastError.length < 200 && lastError.isWellFormed() && !lastError.includes("\0"));
    assert.match(access.allows("task") ?? "", /"off"/);
    assert.deepEqual((await open()).report, access.report);
    access.apply({ profile: "constructor" });
    await access.kept();
    assert.match(access.report?.lastError ?? "", /"constructor"/);
    access.apply({ profile: "off" });
    await access.kept();
    assert.deepEqual(access.report, { appliedProfile: "off", lastAppliedAt });
  }));

Deno.test("a file that cannot be used is off, told, and set aside", () =>
  withFile(async (path, open) => {
    await Deno.mkdir(join(path, ".."));
    for (const damage of ["", "{", "[]", '{"profile":"all"}', '{"wished":"x","profile":"x"}']) {
      await Deno.writeTextFile(path, damage);
      for (const access of [await open(), await open()]) {
        assert.match(access.allows("terminal") ?? "", /"off"/, damage);
        assert.match(access.report?.lastError ?? "", /root_access\.json cannot be used/);
      }
      assert.equal(await Deno.readTextFile(`${path}.corrupt`), damage);
    }
    const access = await open();
    access.apply({ profile: "off" });
    await access.kept();
    assert.equal(access.report?.lastError, undefined, "a wish for the same profile mends it");
  }));

Deno.test("a claim that was held does not bring back what was wished before a push", () =>
  withFile(async (_path, open) => {
    const access = await open();
    await access.reportForClaim();
    access.apply({ profile: "off", updatedAt: "2026-01-01T00:00:02Z" });
    access.applyClaimed({ profile: "all", updatedAt: "2026-01-01T00:00:01Z" });
    assert.equal(access.profile, "off");
    for (const updatedAt of ["2026-01-01T00:00:02Z", "2026-01-01T00:00:03Z", "soon", null]) {
      access.apply({ profile: "off", updatedAt: "2026-01-01T00:00:02Z" });
      access.applyClaimed({ profile: "task", updatedAt });
      assert.equal(access.profile, "task");
    }
    await access.kept();
  }));

Deno.test("a wish from the future locks nothing out: the next push and the next claim count", () =>
  withFile(async (_path, open) => {
    const access = await open();
    const wish = (profile: string, year: number) => ({
      profile,
      updatedAt: `${year}-01-01T00:00:00Z`,
    });
    access.apply(wish("all", 2099));
    access.apply(wish("off", 2026));
    assert.equal(access.profile, "off");
    access.apply(wish("all", 2099));
    assert.equal((await access.reportForClaim())?.appliedProfile, "all");
    access.applyClaimed(wish("off", 2026));
    assert.equal(access.profile, "off");
    await access.kept();
  }));

Deno.test("what cannot be kept is in force, told, and tried again", () =>
  withFile(async (path, open) => {
    const access = await open();
    await Deno.remove(join(path, ".."), { recursive: true });
    // A file in the place of the folder.
    await Deno.writeTextFile(join(path, ".."), "");
    access.apply({ profile: "task" });
    await access.kept();
    assert.match(access.allows("terminal") ?? "", /"task"/);
    assert.match(access.report?.lastError ?? "", /a restart of the agent may forget it/);
    await Deno.remove(join(path, ".."));
    access.apply({ profile: "task" });
    await access.kept();
    assert.deepEqual(access.report, { appliedProfile: "task", lastAppliedAt });
    assert.deepEqual((await open()).report, access.report);
  }));

Deno.test("the room for every profile is taken at the first start", () =>
  withFile(async (path, open) => {
    const access = await open();
    const { size, ino } = await Deno.stat(path);
    for (const profile of ["all", `\0"${"x".repeat(1_000)}`, "off"]) {
      access.apply({ profile });
      await access.kept();
      const now = await Deno.stat(path);
      assert.deepEqual([now.size, now.ino], [size, ino]);
      assert.deepEqual((await open()).report, access.report);
    }
  }));

Deno.test("a small record of an earlier version counts", () =>
  withFile(async (path, open) => {
    await Deno.mkdir(join(path, ".."));
    const kept = { wished: "task", profile: "task", appliedAt: lastAppliedAt };
    await Deno.writeTextFile(path, JSON.stringify(kept) + "\n");
    assert.deepEqual((await open()).report, { appliedProfile: "task", lastAppliedAt });
  }));

Deno.test("promised work waits for the control plane's first word, and for no longer than it may", () =>
  withFile(async (path, open) => {
    const words = {
      wish: /"terminal"/,
      silence: /^$/,
      cancel: /not said so/,
      never: /not said so/,
    };
    for (const [word, expected] of Object.entries(words)) {
      const access = await open();
      const cancel = new AbortController();
      const answer = access.allowsNow("task", cancel.signal, word === "never" ? 1 : 60_000);
      if (word === "wish") access.applyClaimed({ profile: "terminal" });
      if (word === "silence") access.applyClaimed(undefined);
      if (word === "cancel") cancel.abort();
      await access.kept();
      assert.match(await answer ?? "", expected, word);
      await Deno.remove(path);
      await Deno.remove(`${path}.known`).catch(() => {});
    }
  }));
