/** Listens for what sudo itself has to say, to tell its refusal from a command's failure. */
export class SudoRefusal {
  #words: string | undefined;

  /** Takes lines of standard error. */
  push(lines: string): void {
    this.#words ??= /^sudo: (.*)$/m.exec(lines)?.[1];
  }

  /** Says in a sentence that sudo refuses, if it did; it exits with 1 then. */
  sentence(exitCode: number): string | undefined {
    return exitCode === 1 && this.#words ? sudoRefusal(this.#words) : undefined;
  }
}

/** A sentence about the words with which sudo refuses. */
export function sudoRefusal(words: string): string {
  return `sudo refuses to run this as root: ${words} (the agent is not root, so sudoers must allow ` +
    "it to its user without a password)";
}
