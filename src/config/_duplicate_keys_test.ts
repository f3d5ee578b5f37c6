import assert from "node:assert/strict";
import { duplicateKeys } from "./_duplicate_keys.ts";

Deno.test("keys that an object has twice are named, whatever is within its values", () => {
  const cases: [text: string, keys: string[]][] = [
    ["{}", []],
    ['{"a":1,"b":{"a":1,"a":2},"c":["a",{"c":1}]}', []],
    ['{"a":1,"b":"a\\":","a" : 2,"\\u0061":3,"b":4}', ["a", "b"]],
  ];
  for (const [text, keys] of cases) assert.deepEqual(duplicateKeys(text), keys, text);
});
