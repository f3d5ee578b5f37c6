/** No answer that is looked at in this way needs to be longer. */
const MAX_CHARACTERS = 10_000;
/** No answer of anybody's is nested so deep. */
const MAX_DEPTH = 10_000;
/** Nor has it so many values: each can take thirty times the room that its text takes. */
const MAX_VALUES = 2_000_000;

/** The beginning of an answer's text: what answers may be anything, and is not read to its end. */
export async function readStart({ body }: Response): Promise<string> {
  let text = "";
  for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    if (text.length > MAX_CHARACTERS) break;
  }
  return text;
}

/**
 * Says of a text why it is not to be parsed as JSON; undefined if it may be, or is none at all. What is
 * to be looked at is searched for: a loop over the characters of a long one would hold all else up.
 */
export function jsonExcess(text: string): string | undefined {
  const mark = /["[\]{},]/g;
  let depth = 0;
  let values = 0;
  let strings = 0;
  while (mark.test(text)) {
    const at = mark.lastIndex - 1;
    const char = text[at];
    if (char === '"') {
      strings++;
      mark.lastIndex = endOfString(text, at) + 1;
    } else if (char === "[" || char === "{") {
      values++;
      if (++depth > MAX_DEPTH) return `it is nested deeper than ${MAX_DEPTH}`;
    } else if (char === ",") {
      values++;
    } else if (depth-- === 0) {
      return undefined;
    }
    // Each value is one string at most, and has one more for its name.
    if (values > MAX_VALUES || strings > 2 * MAX_VALUES) {
      return `it has more than ${MAX_VALUES} values`;
    }
  }
  return undefined;
}

/** Where a string ends that begins at a quote: at one with an even number of backslashes before it. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text[before - 1] === "\\") before--;
    if ((end - before) % 2 === 0) return end;
  }
  return text.length;
}
