/** Listens for what sudo itself has to say, to tell its refusal from a command's failure. */
export class SudoRefusal {
  #words: string | undefined;

  /** Takes lines of standard error. */
  push(lines: string): void {
    this.#words ??= wordsOfSudo(lines);
  }

  /** Says in a sentence that sudo refuses (exit code 1), or is missing (127), if so it was. */
  sentence(exitCode: number): string | undefined {
    return this.#words && [1, 127].includes(exitCode) ? sudoRefusal(this.#words) : undefined;
  }
}

/** What sudo itself, or who did not find it, has to say among lines of standard error. */
export function wordsOfSudo(lines: string): string | undefined {
  return /^(?:env: |(?:\/bin\/)?sh: .*)?[‘']?sudo[’']?: (.*)$/m.exec(lines)?.[1];
}

/** A sentence about the words with which sudo refuses. */
export function sudoRefusal(words: string): string {
  return `sudo refuses to run this as root: ${words} (the agent is not root, so sudoers must allow ` +
    "it to its user without a password)";
}
