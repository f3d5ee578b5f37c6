/** Shorter values protect nothing, and masking each "no" or "42" would spoil the log. */
export const MIN_SECRET_UNITS = 4;
/** Secrets are found by their beginnings of these lengths; those that share all of one are compared. */
const LEVELS = [128, 64, 32, 16, 8, 4];
/** Longer secrets are compared in linear time, also where text and secret repeat themselves. */
const PLAIN_UNITS = 256;

/** Of secrets of this length and more the next four characters are looked at as well. */
const LONG_UNITS = 2 * MIN_SECRET_UNITS;
/** What may begin with four characters: nothing, only long secrets, or a shorter one too. */
const [NONE, LONG, SHORT] = [0, 1, 2];

type Heads = Map<string, Needle[]>;

/**
 * Finds secrets in text. Nearly all other places are ruled out by their first characters in tables
 * of hashes, whatever the number of secrets is.
 */
export class SecretIndex {
  /** The length of the longest one; 0 if there is none. */
  readonly longest: number;
  /** By the hash of four characters: whether a secret may begin with them. */
  readonly #first: Uint8Array;
  /** By the hash of the four after those: whether a long secret may go on with them. */
  readonly #second: Uint8Array;
  readonly #shift: number;
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
  }

  /** The first place from `from` on where a secret may begin; `Infinity` if there is none. */
  candidate(text: string, from: number): number {
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
      // At the end of the text it may be the beginning of a secret.
      if (kind === SHORT || place + LONG_UNITS > units || this.#goesOn(text, at + 1)) return place;
    }
    return Infinity;
  }

  #goesOn(text: string, at: number): boolean {
    return this.#second[this.#hash(text, at)] === 1;
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
export class SecretLook {
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

/** A text to search for in linear time, by the method of Knuth, Morris and Pratt. */
export class Needle {
  /** What is searched for; not empty. */
  readonly text: string;
  /** By length of a beginning, as far as it was asked for: its {@linkcode border}. */
  readonly #borders = [0, 0];

  /** `text` is what to search for; not empty. */
  constructor(text: string) {
    this.text = text;
  }

  /** The length of the longest text, but not all, that begins and ends the first `length` characters. */
  border(length: number): number {
    for (let known = this.#borders.length - 1; known < length; known++) {
      const next = this.text.charCodeAt(known);
      let border = this.#borders[known] ?? 0;
      while (border > 0 && this.text.charCodeAt(border) !== next) {
        border = this.#borders[border] ?? 0;
      }
      this.#borders.push(this.text.charCodeAt(border) === next ? border + 1 : 0);
    }
    return this.#borders[length] ?? 0;
  }
}

/**
 * Compares a needle with rising places of one text. However many places are asked for, each
 * character of the text is compared with success only once.
 */
export class Search {
  readonly #needle: Needle;
  readonly #text: string;
  /** Here begins what has been compared; at no place before that was not asked for yet it matches. */
  #start = 0;
  /** So many characters from there are the needle's first. */
  #matched = 0;

  /** Begins before the first character of `text`. */
  constructor(needle: Needle, text: string) {
    this.#needle = needle;
    this.#text = text;
  }

  /** The length of the needle. */
  get length(): number {
    return this.#needle.text.length;
  }

  /** Whether the whole needle stands at `place`, which must not be before the last one. */
  standsAt(place: number): boolean {
    return this.#compare(place) === this.length;
  }

  /** Whether the text from `place` on, not before the last one, is a beginning of the needle. */
  endsTextAt(place: number): boolean {
    return place + this.#compare(place) === this.#text.length;
  }

  /** How many characters match at `place`; 0 where fewer do than were compared already. */
  #compare(place: number): number {
    const needle = this.#needle.text;
    while (this.#start < place && this.#matched > 0) {
      const border = this.#needle.border(this.#matched);
      this.#start += this.#matched - border;
      this.#matched = border;
    }
    if (this.#start > place) return 0;
    this.#start = place;
    let matched = this.#matched;
    while (
      matched < needle.length &&
      this.#text.charCodeAt(place + matched) === needle.charCodeAt(matched)
    ) matched++;
    this.#matched = matched;
    return matched;
  }
}
