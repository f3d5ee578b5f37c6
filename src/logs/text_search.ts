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
