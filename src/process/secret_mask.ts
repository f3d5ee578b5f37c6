import { Needle, Search } from "./text_search.ts";

/** What stands in the place of a secret. */
const MASK = "***";

/** Shorter values protect nothing, and masking each "no" or "42" would spoil the log. */
const MIN_UNITS = 4;
/** Values that switch something and that any program prints. */
const TRIVIAL = /^(true|false|null|none|undefined|default|enabled|disabled|auto|\*+)$/i;
/** Programs print secrets of several lines (PEM, JSON) with prefixes; shorter lines are no secrets. */
const MIN_LINE_UNITS = 8;
/** What is searched for, before a whole secret is compared; a RegExp of long secrets can be too big. */
const HEAD_UNITS = 8;

/**
 * Replaces secrets in text by {@linkcode MASK}, wherever they stand and however the text is cut.
 *
 * Secrets that overlap in the text are replaced together, so that nothing is left of either. Space
 * around a secret does not belong to it. Of a secret with several lines each line of 8 or more
 * characters is a secret too. Not masked are values of fewer than 4 characters, words such as
 * `true` or `none`, and secrets in another form (base64, escaped, one character a line).
 */
export class SecretMask {
  /** Longest first. */
  readonly #secrets: readonly Needle[];
  /** Finds where a secret may begin. */
  readonly #heads: RegExp;

  /** `values` may hold anything, such as values that are too short to be masked. */
  constructor(values: Iterable<string>) {
    const secrets = [...new Set([...values].flatMap(formsOf))].sort((a, b) => b.length - a.length);
    this.#secrets = secrets.map((secret) => new Needle(secret));
    const heads = new Set(secrets.map((secret) => secret.slice(0, HEAD_UNITS)));
    this.#heads = new RegExp([...heads].map((head) => RegExp.escape(head)).join("|"), "g");
  }

  /** Masks a text that is whole. */
  apply(text: string): string {
    const stream = this.stream();
    return stream.push(text) + stream.end();
  }

  /** Masks a text that comes in pieces. */
  stream(): MaskedStream {
    return new MaskedStream(this.#secrets, this.#heads);
  }
}

/** One text on its way through a {@linkcode SecretMask}. */
export class MaskedStream {
  readonly #secrets: readonly Needle[];
  readonly #heads: RegExp;
  #held = "";
  /** So much of what is held belongs to a secret that has been replaced already. */
  #covered = 0;

  /** `secrets` are sorted, longest first; `heads` finds the beginning of each. */
  constructor(secrets: readonly Needle[], heads: RegExp) {
    this.#secrets = secrets;
    this.#heads = heads;
  }

  /** Takes the next piece, whole code points; holds back only what may be a secret's beginning. */
  push(text: string): string {
    if (this.#secrets.length === 0) return text;
    const all = this.#held + text;
    return this.#mask(all, all.length - this.#beginningAtEnd(all));
  }

  /** Ends the text: returns what was held back. */
  end(): string {
    return this.#mask(this.#held, this.#held.length);
  }

  /** Masks `text` up to `end` and holds the rest. */
  #mask(text: string, end: number): string {
    const searches = this.#secrets.map((secret) => new Search(secret, text));
    let result = "";
    let done = this.#covered;
    for (let at = this.#nextHead(text, 0); at < end; at = this.#nextHead(text, at + 1)) {
      const found = searches.find((search) => search.standsAt(at));
      if (found === undefined) continue;
      if (at >= done) result += text.slice(done, at) + MASK;
      done = Math.max(done, at + found.length);
    }
    if (done < end) {
      result += text.slice(done, end);
      done = end;
    }
    this.#held = text.slice(end);
    this.#covered = done - end;
    return result;
  }

  #nextHead(text: string, from: number): number {
    this.#heads.lastIndex = from;
    return this.#heads.exec(text)?.index ?? Infinity;
  }

  /** The length of the longest end of `text` that is the beginning, but not all, of a secret. */
  #beginningAtEnd(text: string): number {
    let longest = 0;
    for (const secret of this.#secrets) {
      const search = new Search(secret, text);
      const first = secret.text.charAt(0);
      let at = text.indexOf(first, text.length - search.length + 1);
      while (at >= 0 && text.length - at > longest) {
        if (search.endsTextAt(at)) longest = text.length - at;
        at = text.indexOf(first, at + 1);
      }
    }
    return longest;
  }
}

/** The texts to look for: the value with either kind of line ends, and each of its lines. */
function formsOf(value: string): string[] {
  // What cannot be encoded reaches a process, and its output, as U+FFFD.
  const secret = value.trim().toWellFormed();
  if (secret.length < MIN_UNITS || TRIVIAL.test(secret)) return [];
  const lines = secret.split(/\r?\n/).map((line) => line.trim());
  if (lines.length === 1) return [secret];
  const telling = lines.filter((line) =>
    line.length >= MIN_LINE_UNITS && /[\p{L}\p{N}]/u.test(line)
  );
  return [secret, ...["\n", "\r\n"].map((end) => secret.replaceAll(/\r?\n/g, end)), ...telling];
}
