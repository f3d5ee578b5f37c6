import * as fc from "fast-check";

/** What nobody expects where a value of a known kind should be. */
const odd: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    "",
    "\0",
    "\ud800",
    "__proto__",
    "constructor",
    "../../etc/passwd",
    "-1",
    "1e999",
    "💥".repeat(300),
    0,
    -0,
    -1,
    1.5,
    1e308,
    2 ** 53,
    true,
    [],
    {},
    [[[[]]]],
    { "": "" },
  ),
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.jsonValue({ maxDepth: 3 }),
  fc.integer({ min: 1, max: 200 }).map(nested),
);

/** An array in an array, so many times. */
function nested(depth: number): unknown {
  let value: unknown = "";
  for (let at = 0; at < depth; at++) value = [value];
  return value;
}

/** Values like `example`, of which any part may be missing, something else, or more. */
export function like(example: unknown): fc.Arbitrary<unknown> {
  const part = Array.isArray(example)
    ? fc.array(example.length > 0 ? fc.oneof(...example.map(like)) : odd, { maxLength: 5 })
    : typeof example === "object" && example !== null
    ? fields(example)
    : fc.constant(example);
  return fc.oneof({ arbitrary: part, weight: 12 }, { arbitrary: odd, weight: 1 });
}

function fields(example: object): fc.Arbitrary<unknown> {
  const known = Object.entries(example).map(([name, value]) =>
    fc.oneof(
      { arbitrary: like(value).map((found) => [[name, found]]), weight: 14 },
      { arbitrary: fc.constant([]), weight: 1 },
    )
  );
  const more = fc.oneof(
    { arbitrary: fc.constant([]), weight: 9 },
    { arbitrary: fc.tuple(fc.string({ maxLength: 12 }), odd).map((pair) => [pair]), weight: 1 },
  );
  return fc.tuple(...known, more).map((lists) => Object.fromEntries(lists.flat()));
}

/** Where a text is changed, and to what. */
interface Edit {
  at: number;
  removed: number;
  added: string;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  removed: fc.nat({ max: 20 }),
  added: fc.oneof(fc.string({ unit: "binary", maxLength: 8 }), fc.constantFrom("\n", "\t", "\0")),
});

/** Texts like these: mostly as they are, some cut, some with a part that is another. */
export function likeText(texts: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const edited = fc.tuple(texts, fc.array(edit, { minLength: 1, maxLength: 3 })).map(
    ([text, edits]) =>
      edits.reduce((before, { at, removed, added }) => {
        const from = Math.floor(at * before.length);
        return before.slice(0, from) + added + before.slice(from + removed);
      }, text),
  );
  return fc.oneof({ arbitrary: texts, weight: 3 }, { arbitrary: edited, weight: 2 });
}

/** JSON like that of one of these examples, mostly. */
export function likeJson(...examples: unknown[]): fc.Arbitrary<string> {
  return likeText(fc.oneof(...examples.map(like)).map((value) => JSON.stringify(value)));
}
