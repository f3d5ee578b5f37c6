import { Needle, Search } from "./text_search.ts";

/** What stands in the place of a secret. */
const MASK = "***";

/** Values that switch something and that any program prints. */
const TRIVIAL = /^(true|false|null|none|undefined|default|enabled|disabled|auto|\*+)$/i;
/** Programs print secrets of several lines (PEM, JSON) with prefixes; shorter lines are no secrets. */
const MIN_LINE_UNITS = 8;

/** Shorter values protect nothing, and masking each "no" or "42" would spoil the log. */
const MIN_SECRET_UNITS = 4;
/** Secrets are found by their beginnings of these lengths; those that share all of one are compared. */
const LEVELS = [128, 64, 32, 16, 8, 4];
/** Longer secrets are compared in linear time, also where text and secret repeat themselves. */
const PLAIN_UNITS = 256;

/** Of secrets of this length and more the next four characters are looked at as well. */
const LONG_UNITS = 2 * MIN_SECRET_UNITS;
/** What may begin with four characters: nothing, only long secrets, or a shorter one too. */
const [NONE, LONG, SHORT] = [0, 1, 2];

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

type Heads = Map<string, Needle[]>;

/** So few beginnings are searched for by the engine itself: a loop over the characters is slow. */
const MAX_SEARCHED = 128;

/** Finds the beginnings of secrets; undefined where there are none, or too many for that. */
function searchFor(secrets: readonly string[]): RegExp | undefined {
  const heads = new Set(secrets.map((secret) => secret.slice(0, MIN_SECRET_UNITS)));
  if (heads.size === 0 || heads.size > MAX_SEARCHED) return undefined;
  const escaped = [...heads].map((head) =>
    head.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")
  );
  return new RegExp(escaped.join("|"), "g");
}

/**
 * Finds secrets in text. Nearly all other places are ruled out by their first characters: of few
 * secrets by a search for those, of many in tables of hashes, whatever their number is.
 */
class SecretIndex {
  /** The length of the longest one; 0 if there is none. */
  readonly longest: number;
  /** By the hash of four characters: whether a secret may begin with them. */
  readonly #first: Uint8Array;
  /** By the hash of the four after those: whether a long secret may go on with them. */
  readonly #second: Uint8Array;
  readonly #shift: number;
  /** Where a secret may begin, where there are few of them. */
  readonly #search: RegExp | undefined;
  /** By the longest level that a secret fills: its beginning. */
  readonly #whole = new Map<number, Heads>();
  /** By each level that is shorter than a secret: its beginning. */
  readonly #begun = new Map<number, Heads>();
  /** Beginnings that are shorter than any secret. */
  readonly #short = new Set<string>();

  /** The secrets are of {@linkcode MIN_SECRET_UNITS} and more. */
  constructor(secrets: readonly string[]) {
    const sorted = secrets.toSorted((a, b) => b.length - a.length);
    this.longest = sorted[0]?.length ?? 0;
    // Four shifts take the oldest of four characters out; few of the places are taken by chance.
    this.#shift = Math.min(5, Math.max(3, Math.ceil(Math.log2(64 * secrets.length + 1) / 4)));
    this.#first = new Uint8Array(2 ** (4 * this.#shift));
    this.#second = new Uint8Array(this.#first.length);
    for (const secret of sorted) this.#add(new Needle(secret));
    this.#search = searchFor(secrets);
  }

  /** The first place from `from` on where a secret may begin; `Infinity` if there is none. */
  candidate(text: string, from: number): number {
    const search = this.#search;
    if (!search) return this.#candidateByHash(text, from);
    search.lastIndex = from;
    while (search.test(text)) {
      const place = search.lastIndex - MIN_SECRET_UNITS;
      if (this.#mayBegin(text, place, this.#first[this.#hash(text, place)])) return place;
      search.lastIndex = place + 1;
    }
    return Infinity;
  }

  #candidateByHash(text: string, from: number): number {
    const first = this.#first;
    const shift = this.#shift;
    const mask = first.length - 1;
    const units = text.length;
    let hash = 0;
    for (let at = from; at < units; at++) {
      hash = ((hash << shift) ^ text.charCodeAt(at)) & mask;
      const kind = first[hash];
      if (kind === NONE || at < from + MIN_SECRET_UNITS - 1) continue;
      const place = at - MIN_SECRET_UNITS + 1;
      if (this.#mayBegin(text, place, kind)) return place;
    }
    return Infinity;
  }

  /** Whether a secret may begin at a place whose first characters are of this kind. */
  #mayBegin(text: string, place: number, kind: number | undefined): boolean {
    // At the end of the text it may be the beginning of a secret.
    if (kind === SHORT || place + LONG_UNITS > text.length) return true;
    return this.#second[this.#hash(text, place + MIN_SECRET_UNITS)] === 1;
  }

  #hash(text: string, from: number): number {
    let hash = 0;
    for (let at = from; at < from + MIN_SECRET_UNITS; at++) {
      hash = ((hash << this.#shift) ^ text.charCodeAt(at)) & (this.#first.length - 1);
    }
    return hash;
  }

  /** Looks at one text, at rising places. */
  look(text: string): SecretLook {
    return new SecretLook(this, text);
  }

  /** The secrets, longest first, that may be whole at `at`. */
  *wholeAt(text: string, at: number): Iterable<Needle> {
    for (const [level, heads] of this.#whole) {
      if (at + level <= text.length) yield* heads.get(text.substring(at, at + level)) ?? [];
    }
  }

  /** The secrets of which the text from `at` on may be a beginning. */
  begunAt(text: string, at: number): readonly Needle[] {
    const units = text.length - at;
    const level = LEVELS.find((level) => level <= units) ?? 0;
    return this.#begun.get(level)?.get(text.substring(at, at + level)) ?? [];
  }

  /** Whether a secret begins with these one to three characters. */
  beginsWith(text: string): boolean {
    return this.#short.has(text);
  }

  #add(needle: Needle): void {
    const { text } = needle;
    for (let i = 1; i < MIN_SECRET_UNITS; i++) this.#short.add(text.slice(0, i));
    const isLong = text.length >= LONG_UNITS;
    const hash = this.#hash(text, 0);
    if (!isLong) this.#first[hash] = SHORT;
    else if (this.#first[hash] === NONE) this.#first[hash] = LONG;
    if (isLong) this.#second[this.#hash(text, MIN_SECRET_UNITS)] = 1;
    const level = LEVELS.find((level) => level <= text.length) ?? 0;
    addTo(this.#whole, level, needle);
    for (const each of LEVELS) if (each < text.length) addTo(this.#begun, each, needle);
  }
}

/** One text, in which each place is looked at once, from the first on. */
class SecretLook {
  readonly #index: SecretIndex;
  readonly #text: string;
  readonly #searches = new Map<Needle, Search>();

  /** See {@linkcode SecretIndex.look}. */
  constructor(index: SecretIndex, text: string) {
    this.#index = index;
    this.#text = text;
  }

  /** The length of the longest secret at `at`; 0 if there is none. */
  lengthAt(at: number): number {
    for (const needle of this.#index.wholeAt(this.#text, at)) {
      const { text } = needle;
      const isThere = text.length > PLAIN_UNITS
        ? this.#search(needle).standsAt(at)
        : this.#text.startsWith(text, at);
      if (isThere) return text.length;
    }
    return 0;
  }

  /** Whether the text from `at` on is the beginning, but not all, of a secret. */
  endsWithBeginning(at: number): boolean {
    const rest = this.#text.slice(at);
    if (rest.length < MIN_SECRET_UNITS) return this.#index.beginsWith(rest);
    return this.#index.begunAt(this.#text, at).some((needle) => {
      if (needle.text.length <= rest.length) return false;
      if (rest.length <= PLAIN_UNITS) return needle.text.startsWith(rest);
      return this.#search(needle).endsTextAt(at);
    });
  }

  #search(needle: Needle): Search {
    let search = this.#searches.get(needle);
    if (!search) this.#searches.set(needle, search = new Search(needle, this.#text));
    return search;
  }
}

function addTo(levels: Map<number, Heads>, level: number, needle: Needle): void {
  let heads = levels.get(level);
  if (!heads) levels.set(level, heads = new Map());
  const head = needle.text.slice(0, level);
  const bucket = heads.get(head);
  if (bucket) bucket.push(needle);
  else heads.set(head, [needle]);
}
