import { DPKG_FORMAT, type DpkgRecord, parseDpkg } from "./dpkg.ts";

/**
 * What dpkg's database held when apt's turn had come: apt itself prints it, holding dpkg's lock,
 * before it lets dpkg change anything. A look by the agent could come too late, or before another
 * program's change that apt has waited for.
 */
export class DpkgSnapshot {
  readonly #mark: string = crypto.randomUUID();
  #looks = 0;
  #text = "";

  /** The option of apt-get that has the look taken; a look that fails must not stop apt. */
  get aptOption(): string {
    const look = `dpkg-query -W -f '${this.#mark}\\t${DPKG_FORMAT}' || true`;
    return `DPkg::Pre-Invoke::=echo ${this.#mark}; ${look}`;
  }

  /** Gives back apt's lines without those of the look. */
  take(lines: string): string {
    if (!lines.includes(this.#mark)) return lines;
    return lines.split(/(?<=\n)/).filter((line) => !this.#takeLine(line)).join("");
  }

  /** What there was; undefined if apt has never let dpkg do anything. */
  get records(): DpkgRecord[] | undefined {
    return this.#looks === 0 ? undefined : parseDpkg(this.#text);
  }

  #takeLine(line: string): boolean {
    if (!line.startsWith(this.#mark)) return false;
    const record = line.slice(this.#mark.length + 1);
    if (record === "") this.#looks++;
    // Between two runs of dpkg apt looks again, and then at its own changes.
    else if (this.#looks === 1) this.#text += record;
    return true;
  }
}
