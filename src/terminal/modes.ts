/** A way to put a shell, which leads a session of its own, on a pseudo terminal. */
export interface PtyMode {
  /** Its name in the log. */
  name: "pty+ctty" | "pty-no-ctty" | "pty-minimal";
  /**
   * Puts `$@`, a shell, on `$pty`, having written `$shell`, its name, to standard output and let it
   * go; or writes to standard error why it cannot, and exits.
   */
  script: string;
  /** What a user misses in it; undefined if nothing. */
  missing?: string;
}

/** The modes in the order in which they are tried. */
export const PTY_MODES: readonly PtyMode[] = [
  {
    name: "pty+ctty",
    // The first terminal that the leader of a session opens becomes its controlling one.
    script: `
exec 3>&1 4>&2 <"$pty" >"$pty" 2>&1
(: </dev/tty) 2>/dev/null || { echo "the terminal cannot control a session" >&4; exit 1; }
echo "$shell" >&3
exec 3>&- 4>&-
exec "$@"`,
  },
  {
    name: "pty-no-ctty",
    // Here it is not the leader that opens the terminal, but a process that it forks before.
    script: `
(: <"$pty" >"$pty") || exit 1
echo "$shell"
exec >/dev/null 2>&1
(exec "$@" <"$pty" >"$pty" 2>&1)
exit $?`,
    missing: "Ctrl-C and Ctrl-Z do not reach programs, there is no job control (fg, bg), and " +
      "programs that open /dev/tty (sudo, ssh) cannot ask for a password",
  },
  {
    name: "pty-minimal",
    // The last resort tries nothing and needs no second process.
    script: `
exec 3>&1 <"$pty" >"$pty" 2>&1
echo "$shell" >&3
exec 3>&-
exec "$@"`,
    missing: "whether Ctrl-C, Ctrl-Z and job control reach programs is not known: it was not tried",
  },
];
