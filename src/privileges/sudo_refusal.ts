/** Listens for what sudo itself has to say, to tell its refusal from a command's failure. */
export class SudoRefusal {
  #words: string | undefined;

  /** Takes lines of standard error. */
  push(lines: string): void {
    this.#words = wordsOfSudo(lines) ?? this.#words;
  }

  /** Says in a sentence that sudo refuses (exit code 1), or is missing (127), if so it was. */
  sentence(exitCode: number): string | undefined {
    return this.#words && [1, 127].includes(exitCode) ? sudoRefusal(this.#words) : undefined;
  }
}

/** Lines of sudo, of sudo-rs, of who did not find it; and those that sudo writes without its name. */
const LINE =
  /^(?:(?:env: |(?:\/bin\/)?sh: .*)?[‘']?sudo(?:-rs)?[’']?: (.*)|(Sorry, user .* (?:is not allowed|may not) .*|\S+ is not (?:in the sudoers file|allowed to run sudo).*))$/gm;
/** What sudo says and goes on. */
const WARNING = /^(?:warning|unable to resolve host|setrlimit|unable to send audit message)\b/i;

/**
 * The last words that sudo itself, or who did not find it, has among lines of standard error; its
 * warnings are none.
 */
export function wordsOfSudo(lines: string): string | undefined {
  return [...lines.matchAll(LINE)]
    .map(([, named, nameless]) => named ?? nameless)
    .findLast((words) => words && !WARNING.test(words));
}

/** A sentence about the words with which sudo refuses. */
export function sudoRefusal(words: string): string {
  return `sudo refuses to run this as root: ${words} (the agent is not root, so sudoers must allow ` +
    "it to its user without a password)";
}
