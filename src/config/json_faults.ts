/** A place in a text; both numbers begin with 1. */
export interface Position {
  /** The line. */
  readonly line: number;
  /** The UTF-16 unit within the line. */
  readonly column: number;
}

const SPACE = /[ \t\r\n]*/y;
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// deno-lint-ignore no-control-regex -- JSON forbids exactly these inside a string
const STRING = /"(?:[^"\\\u0000-\u001f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/y;

// What may come next, by the first character of the token; "0" is any scalar.
const VALUE = '"0{[';
const FIRST_VALUE = VALUE + "]";
const KEY = '"';
const FIRST_KEY = KEY + "}";

/**
 * Where a text stops being JSON, or `undefined` if it is JSON.
 *
 * The engine's own message names no place in some cases, and it quotes the text
 * around the error, which may be a token.
 */
export function findJsonError(text: string): Position | undefined {
  const open: string[] = [];
  const afterValue = () => ({ "{": ",}", "[": ",]" })[open.at(-1) ?? ""] ?? "";
  let expected = VALUE;
  let at = matchEnd(SPACE, text, 0);
  for (; at < text.length; at = matchEnd(SPACE, text, at)) {
    const first = text.charAt(at);
    const token = '"{}[],:'.includes(first) ? first : "0";
    if (!expected.includes(token)) break;
    const end = token === '"'
      ? matchEnd(STRING, text, at)
      : token === "0"
      ? matchEnd(SCALAR, text, at)
      : at + 1;
    if (end === at) break;

    if (token === "{" || token === "[") {
      open.push(token);
      expected = token === "{" ? FIRST_KEY : FIRST_VALUE;
    } else if (token === ",") {
      expected = open.at(-1) === "{" ? KEY : VALUE;
    } else if (token === ":") {
      expected = VALUE;
    } else if (expected === KEY || (expected === FIRST_KEY && token === '"')) {
      expected = ":";
    } else {
      if (token === "}" || token === "]") open.pop();
      expected = afterValue();
    }
    at = end;
  }
  if (at === text.length && expected === "") return undefined;
  const before = text.slice(0, at).split("\n");
  return { line: before.length, column: (before.at(-1) ?? "").length + 1 };
}

/** Where `pattern` ends when it begins at `at`; `at` itself when it does not. */
function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

const TOKEN = /"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/g;

/** The keys that an object has more than once; `text` is valid JSON. Its objects' keys do not count. */
export function duplicateKeys(text: string): string[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  let depth = 0;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1 && token.endsWith(":")) {
      // As it is meant: "\\u0061" is another spelling of "a".
      const key = String(JSON.parse(token.slice(0, -1)));
      (seen.has(key) ? twice : seen).add(key);
    }
  }
  return [...twice];
}
