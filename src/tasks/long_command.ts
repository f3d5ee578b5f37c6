/** The most bytes of one argument, or of one variable with its name, that Linux takes; a NUL is added. */
export const MAX_ARGUMENT_BYTES = 128 * 1024 - 1;
/** So many characters have fewer bytes than that. */
const PARTS = /[^]{1,30000}/gu;
/** Linux takes 2 MiB of arguments and environment together, where nobody has changed that. */
const MAX_COMMAND_BYTES = 1024 * 1024;
/** See {@linkcode MAX_COMMAND_BYTES}. */
export const MAX_ENVIRONMENT_BYTES: number = 768 * 1024;
/** The shells that put a command together again. */
const POSIX_SHELL = /(^|\/)(sh|bash|dash|ash|ksh|mksh|zsh|busybox)$/;

/** Takes a command in parts, puts it together, and runs it in the shell that it was given to. */
const TOGETHER = `
AGENT_COMMAND=
for AGENT_PART do AGENT_COMMAND=$AGENT_COMMAND$AGENT_PART; done
set --
eval "unset AGENT_COMMAND AGENT_PART
$AGENT_COMMAND"`;

/** Whether commands of the POSIX shell can be put before another one of `shell`'s. */
export function isPosixShell(shell: string): boolean {
  return POSIX_SHELL.test(shell);
}

/** How many bytes a text has. */
export function byteLength(text: string): number {
  // In most cases there is nothing to be counted.
  return text.length * 3 <= MAX_ARGUMENT_BYTES
    ? text.length
    : new TextEncoder().encode(text).length;
}

/**
 * The arguments with which a login shell runs a command, however long; a sentence where the shell, or
 * Linux, cannot take one of that length.
 */
export function loginShell(shell: string, command: string): string[] | string {
  // A command that begins with "-" would be taken for an option of the shell.
  const safe = command.startsWith("-") ? ` ${command}` : command;
  const bytes = byteLength(safe);
  if (bytes <= MAX_ARGUMENT_BYTES) return [shell, "-lc", safe];
  if (!isPosixShell(shell)) {
    return `payload.command: ${shell} takes no more than 128 KiB, and this has ${bytes} bytes; ` +
      "/bin/sh takes more";
  }
  if (bytes > MAX_COMMAND_BYTES) {
    return `payload.command: longer than 1 MiB (${bytes} bytes); write a file and run that`;
  }
  return [shell, "-lc", TOGETHER, shell, ...safe.match(PARTS) ?? []];
}
