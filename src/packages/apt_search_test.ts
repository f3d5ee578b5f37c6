import assert from "node:assert/strict";
import * as z from "@zod/zod";
import { contextOf } from "../tasks/_test_task_context.ts";
import { describeBadPayload } from "../tasks/task_type.ts";
import { answer, HAS_APT } from "./_test_query.ts";
import { searchPackages } from "./apt_search.ts";
import { packageSearch, packageSearchWithin } from "./package_tasks.ts";

/** A cache with these hits, which may be less by name only; what is asked is noted. */
function cache(hits: string[], asked: string[][] = [], named = hits) {
  return (...argv: string[]) => {
    asked.push(argv);
    if (argv[2] === "--names-only") return Promise.resolve(answer(named.join("\n") + "\n"));
    if (argv[1] === "search") return Promise.resolve(answer(hits.join("\n") + "\n"));
    const records = argv.slice(4).filter((name) => name !== "recordless").map((name) =>
      `Package: ${name}\nVersion: 1-${name}\nArchitecture: all\nDescription-en: x\n Version: 9\n`
    );
    return Promise.resolve(answer(records.join("\n"), argv.includes("recordless") ? 100 : 0));
  };
}

Deno.test("a search takes two calls for the hits and one for all versions", async () => {
  const asked: string[][] = [];
  const query = cache(["zsh - shell - with features", "recordless - is virtual"], asked, []);
  const { found, results } = await searchPackages(["shell"], query);
  assert.equal(found, 2);
  assert.deepEqual(results, [
    { name: "zsh", version: "1-zsh", architecture: "all", description: "shell - with features" },
    { name: "recordless", version: "", architecture: "", description: "is virtual" },
  ]);
  assert.deepEqual(asked, [
    ["apt-cache", "search", "--names-only", "--", "shell"],
    ["apt-cache", "search", "--", "shell"],
    ["apt-cache", "show", "--no-all-versions", "--", "zsh", "recordless"],
  ]);
});

Deno.test("words are taken literally", async () => {
  const asked: string[][] = [];
  await searchPackages(["g++", "a.b", "^x$", "(y|z)*", "[q]{2}?", "back\\slash"], cache([], asked));
  const [byName = [], whole = []] = asked;
  assert.deepEqual(byName.slice(4), whole.slice(3));
  assert.deepEqual(whole.slice(3), [
    "g\\+\\+",
    "a\\.b",
    "\\^x\\$",
    "\\(y\\|z\\)\\*",
    "\\[q]\\{2}\\?",
    "back\\\\slash",
  ]);
});

Deno.test("of many hits the first 200 are told, those with the name first", async () => {
  const hits = Array.from({ length: 500 }, (_, i) => `other-${i} - about nginx`);
  const query = cache([...hits, "libnginx-x - module", "nginx - server"]);
  const { found, results } = await searchPackages(["nginx"], query);
  assert.equal(found, 502);
  assert.equal(results.length, 200);
  assert.deepEqual(results.slice(0, 3).map(({ name }) => name), ["nginx", "libnginx-x", "other-0"]);
});

Deno.test("descriptions are left alone where enough packages have the words in their name", async () => {
  const named = Array.from({ length: 250 }, (_, i) => `Lib${i}x - about`.toLowerCase());
  const asked: string[][] = [];
  const query = (count: number) => cache([], asked, [...named.slice(0, count), "other - provides"]);
  const { found, byName, results } = await searchPackages(["LIB", "x"], query(250));
  assert.deepEqual([found, byName, results.length, results[0]?.name], [251, true, 200, "lib0x"]);
  assert.deepEqual(asked.map((argv) => argv[1]), ["search", "show"]);
  assert.equal((await searchPackages(["LIB", "x"], query(199))).byName, false);
});

Deno.test({
  name: "a search that takes too long is ended, and says what to do",
  ignore: !HAS_APT,
  async fn() {
    const context = contextOf({ onLines: assert.fail });
    let begun = 0;
    const search = packageSearchWithin(1).prepare({ query: "a" });
    const outcome = search({
      ...context,
      start(command) {
        begun++;
        // Where few packages are known the search itself is quick.
        return context.start({ ...command, argv: ["sleep", "60"] });
      },
    });
    await assert.rejects(outcome, {
      name: "UserError",
      message: "the search takes more than 0.001 s: use longer or more words",
    });
    assert.equal(begun, 1);
  },
});

Deno.test("no hit is no failure; no apt-cache, or one that fails, is", async () => {
  const none = { found: 0, byName: false, results: [] };
  assert.deepEqual(await searchPackages(["x"], cache([])), none);
  const fails = (code: number) => () => Promise.resolve(answer("", code, "E: no cache\n"));
  await assert.rejects(searchPackages(["x"], fails(127)), /need dpkg and apt/);
  await assert.rejects(searchPackages(["x"], fails(100)), /^UserError: apt-cache failed: E: no/);
});

Deno.test("a search for nothing or for an option is refused", () => {
  const cases: [unknown, RegExp][] = [
    [{}, /payload\.query: must hold at least one word/],
    [{ query: "" }, /payload\.query: must hold/],
    [{ query: " \t\n" }, /payload\.query: must hold/],
    [{ query: null, term: " " }, /payload\.query: must hold/],
    [{ query: "-oDir=/tmp" }, /must not start with "-", as "-oDir=\/tmp" does/],
    [{ term: "zsh --installed" }, /must not start with "-"/],
    [{ query: "a\0b" }, /payload\.query: must not contain NUL/],
    [{ query: 5 }, /payload\.query: /],
    [null, /^bad payload: payload: /],
  ];
  for (const [payload, sentence] of cases) {
    assert.throws(() => packageSearch.prepare(payload), (error) => {
      assert(error instanceof z.ZodError);
      assert.match(describeBadPayload(error), sentence);
      return true;
    }, JSON.stringify(payload));
  }
  for (const payload of [{ query: "zsh" }, { term: "zsh x" }, { query: "", term: "a-b" }]) {
    packageSearch.prepare(payload);
  }
});
