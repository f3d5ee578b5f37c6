const FIRST_SIZE = 64 * 1024;

/** The output of a terminal in the order it was numbered. */
export class Transcript {
  #buffer = new Uint8Array(FIRST_SIZE);
  #length = 0;
  #text: { length: number; value: string } = { length: 0, value: "" };

  /** How many bytes there are. */
  get length(): number {
    return this.#length;
  }

  /** All bytes: a view, good until the next output. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }

  /** All bytes as UTF-8 text. */
  get text(): string {
    if (this.#text.length !== this.#length) {
      this.#text = { length: this.#length, value: new TextDecoder().decode(this.bytes) };
    }
    return this.#text.value;
  }

  /** Adds output at the end. */
  append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(length, this.#buffer.length * 2));
      larger.set(this.bytes);
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
  }
}
