import assert from "node:assert/strict";
import { UserError } from "../system/user_error.ts";
import { machine, tools } from "./_test_context.ts";
import { allChecks, runChecks } from "./run_checks.ts";
import { type Check, fail, findingText, ok, skip, summarize, summaryText, warn } from "./check.ts";

const never = () => new Promise<never>(() => {});

Deno.test("what needs a failed check is skipped, and so is what needs that", async () => {
  const ran: string[] = [];
  const check = (name: string, needs: string[], finding = ok("")): Check => ({
    name,
    needs,
    run: () => (ran.push(name), finding),
  });
  const findings = await runChecks([
    check("a", [], fail("broken", "fix it")),
    check("b", ["a"]),
    check("c", ["b"]),
    check("warned", [], warn("", "")),
    check("skips itself", [], skip("nothing there")),
    check("d", ["warned", "skips itself"]),
  ]);
  assert.deepEqual(ran.sort(), ["a", "d", "skips itself", "warned"]);
  assert.deepEqual(findings.slice(1, 3), [
    { check: "b", status: "skip", found: "needs a" },
    { check: "c", status: "skip", found: "needs b" },
  ]);
  assert.equal(findings.at(-1)?.status, "ok");
});

Deno.test("independent checks run side by side and are told in their order", async () => {
  const second = Promise.withResolvers<void>();
  const told: string[] = [];
  await runChecks([
    { name: "first", run: () => second.promise.then(() => ok("")) },
    { name: "second", run: () => (second.resolve(), ok("")) },
  ], { onFinding: ({ check }) => told.push(check) });
  assert.deepEqual(told, ["first", "second"]);
});

Deno.test("a check ends at its own limit, and every check at that of all", async () => {
  let aborted = false;
  const findings = await runChecks([
    {
      name: "own",
      limitMs: 20,
      lateFix: "hurry",
      run: (signal) => (signal.addEventListener("abort", () => aborted = true), never()),
    },
    { name: "all", run: never },
  ], { totalMs: 200 });
  assert.deepEqual(findings[0], {
    check: "own",
    status: "fail",
    found: "no result within 0 s",
    fix: "hurry",
  });
  assert.equal(findings[1]?.found, "no result within 0.2 s");
  assert(aborted);
});

Deno.test("what a check throws is its failure; the agent's own sentences hold the fix", async () => {
  const findings = await runChecks([
    { name: "user", run: () => Promise.reject(new UserError("a: b is bad: make it good.")) },
    { name: "other", run: () => Promise.reject(new Error("a: b")) },
  ]);
  assert.deepEqual(findings, [
    { check: "user", status: "fail", found: "a: b is bad", fix: "make it good" },
    { check: "other", status: "fail", found: "a: b" },
  ]);
});

Deno.test("every check needs only what comes before it", () => {
  const told = new Set<string>();
  for (const { name, needs = [] } of allChecks(machine(tools({})))) {
    assert.deepEqual(needs.filter((need) => !told.has(need)), [], name);
    assert(!told.has(name), name);
    told.add(name);
  }
});

Deno.test("findings are told in columns", () => {
  const bad = { check: "API", ...fail("one\ntwo", "do this") };
  assert.equal(
    findingText(bad, 6),
    "FAIL  API     one\n              two\n              fix: do this\n",
  );
  assert.equal(summaryText(summarize([bad])), "0 ok, 1 failed\n");
  assert.equal(
    summaryText({ ok: 19, warn: 2, fail: 0, skip: 1 }),
    "19 ok, 2 warnings, 1 skipped\n",
  );
});
