import { MIN_SECRET_UNITS, SecretIndex } from "./secret_index.ts";

/** What stands in the place of a secret. */
const MASK = "***";

/** Values that switch something and that any program prints. */
const TRIVIAL = /^(true|false|null|none|undefined|default|enabled|disabled|auto|\*+)$/i;
/** Programs print secrets of several lines (PEM, JSON) with prefixes; shorter lines are no secrets. */
const MIN_LINE_UNITS = 8;

/**
 * Replaces secrets in text by {@linkcode MASK}, wherever they stand and however the text is cut.
 *
 * Secrets that overlap in the text are replaced together, so that nothing is left of either. Space
 * around a secret does not belong to it. Of a secret with several lines each line of 8 or more
 * characters is a secret too. Not masked are values of fewer than 4 characters, words such as
 * `true` or `none`, and secrets in another form (base64, escaped, one character a line).
 */
export class SecretMask {
  readonly #index: SecretIndex;

  /** `values` may hold anything, such as values that are too short to be masked. */
  constructor(values: Iterable<string>) {
    this.#index = new SecretIndex([...new Set([...values].flatMap(formsOf))]);
  }

  /** Masks a text that is whole. */
  apply(text: string): string {
    const stream = this.stream();
    return stream.push(text) + stream.end();
  }

  /** Masks a text that comes in pieces. */
  stream(): MaskedStream {
    return new MaskedStream(this.#index);
  }
}

/** One text on its way through a {@linkcode SecretMask}. */
export class MaskedStream {
  readonly #index: SecretIndex;
  #held = "";
  /** So much of what is held belongs to a secret that has been replaced already. */
  #covered = 0;

  /** `index` knows the secrets. */
  constructor(index: SecretIndex) {
    this.#index = index;
  }

  /** Whether nothing is held back. */
  get isEmpty(): boolean {
    return this.#held === "" && this.#covered === 0;
  }

  /** Takes the next piece, whole code points; holds back only what may be a secret's beginning. */
  push(text: string): string {
    if (this.#index.longest === 0) return text;
    const all = this.#held === "" ? text : this.#held + text;
    return this.#mask(all, this.#beginningAtEnd(all));
  }

  /** Ends the text: returns what was held back. */
  end(): string {
    return this.#mask(this.#held, this.#held.length);
  }

  /** Masks `text` up to `end` and holds the rest. */
  #mask(text: string, end: number): string {
    const look = this.#index.look(text);
    let result = "";
    let done = this.#covered;
    let at = this.#index.candidate(text, 0);
    for (; at < end; at = this.#index.candidate(text, at + 1)) {
      const length = look.lengthAt(at);
      if (length === 0) continue;
      if (at >= done) result += text.slice(done, at) + MASK;
      done = Math.max(done, at + length);
    }
    if (done < end) {
      result += text.slice(done, end);
      done = end;
    }
    this.#held = text.slice(end);
    this.#covered = done - end;
    return result;
  }

  /** Where the longest end of `text` begins that is the beginning, but not all, of a secret. */
  #beginningAtEnd(text: string): number {
    const look = this.#index.look(text);
    const from = Math.max(0, text.length - this.#index.longest + 1);
    let at = this.#index.candidate(text, from);
    for (; at < text.length; at = this.#index.candidate(text, at + 1)) {
      if (look.endsWithBeginning(at)) return at;
    }
    at = Math.max(from, text.length - MIN_SECRET_UNITS + 1);
    while (at < text.length && !look.endsWithBeginning(at)) at++;
    return at;
  }
}

/** The texts to look for: the value with either kind of line ends, and each of its lines. */
function formsOf(value: string): string[] {
  // What cannot be encoded reaches a process, and its output, as U+FFFD.
  const secret = value.trim().toWellFormed();
  if (secret.length < MIN_SECRET_UNITS || TRIVIAL.test(secret)) return [];
  const lines = secret.split(/\r?\n/).map((line) => line.trim());
  if (lines.length === 1) return [secret];
  const telling = lines.filter((line) =>
    line.length >= MIN_LINE_UNITS && /[\p{L}\p{N}]/u.test(line)
  );
  return [secret, ...["\n", "\r\n"].map((end) => secret.replaceAll(/\r?\n/g, end)), ...telling];
}
