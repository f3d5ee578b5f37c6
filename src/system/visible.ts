/**
 * Text from outside as one line that steers no terminal: control characters, and those that turn
 * the direction of writing, are shown as JSON writes them, so that JSON stays the same.
 */
export function visible(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
