import assert from "node:assert/strict";
import { duplicateKeys, findJsonError } from "./json_faults.ts";

Deno.test("findJsonError says where a text stops being JSON", () => {
  const wrong: readonly [string, number, number][] = [
    ["", 1, 1],
    ["  \n ", 2, 2],
    ["{", 1, 2],
    ['{"a": 1', 1, 8],
    ['{\n  "a": 1,\n}', 3, 1],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3],
    ['{\r\n  "a": tru\r\n}', 2, 8],
    ["{'a': 1}", 1, 2],
    ['{"a" 1}', 1, 6],
    ['{"a": 01}', 1, 8],
    ['{"a": "open}', 1, 7],
    ['{"a": "tab\there"}', 1, 7],
    ['{"a": "\\x"}', 1, 7],
    ["[1, 2,]", 1, 7],
    ["[1}", 1, 3],
    ["{} // comment", 1, 4],
    ["{}{}", 1, 3],
    ["\u00a0{}", 1, 1],
  ];
  for (const [text, line, column] of wrong) {
    assert.deepEqual(findJsonError(text), { line, column }, text);
  }
});

Deno.test("findJsonError agrees with JSON.parse about any damage to a text", () => {
  const good =
    '{"a": [1, -2.5e3, true, null, {}], "b\\u00e9\\n": {"c": "d", "e": []}, "f": false} ';
  assert.equal(findJsonError(good), undefined);
  const pieces = [...'{}[]",:\\0-.eEtu \n\t', ""];
  for (let at = 0; at <= good.length; at++) {
    for (const piece of pieces) {
      for (const removed of [0, 1, good.length]) {
        const text = good.slice(0, at) + piece + good.slice(at + removed);
        assert.equal(findJsonError(text) === undefined, isJson(text), text);
      }
    }
  }
});

Deno.test("findJsonError is not stopped by size or depth", () => {
  assert.equal(findJsonError(JSON.stringify({ text: 'x"\n'.repeat(1_000_000) })), undefined);
  assert.equal(findJsonError("[".repeat(50_000) + "]".repeat(50_000)), undefined);
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

Deno.test("a string that does not end is found at once, however long", () => {
  for (const length of [28, 200_000]) {
    const text = `{"api_url": "${"x".repeat(length)}`;
    assert.deepEqual(findJsonError(text), { line: 1, column: 13 });
  }
});

Deno.test("keys that an object has twice are named, whatever is within its values", () => {
  const cases: [text: string, keys: string[]][] = [
    ["{}", []],
    ['{"a":1,"b":{"a":1,"a":2},"c":["a",{"c":1}]}', []],
    ['{"a":1,"b":"a\\":","a" : 2,"\\u0061":3,"b":4}', ["a", "b"]],
  ];
  for (const [text, keys] of cases) assert.deepEqual(duplicateKeys(text), keys, text);
});
