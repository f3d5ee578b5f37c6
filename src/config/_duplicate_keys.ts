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
