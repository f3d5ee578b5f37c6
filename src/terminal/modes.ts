/** A way to put a shell on a pseudo terminal. */
export interface PtyMode {
  /** Its name in the log. */
  name: "pty+ctty" | "pty-no-ctty" | "pty-minimal";
  /** Whether the shell leads a session of its own. */
  detached: boolean;
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
    detached: true,
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
    detached: true,
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
    detached: false,
    script: `
(: <"$pty" >"$pty") || exit 1
echo "$shell"
exec "$@" <"$pty" >"$pty" 2>&1`,
    missing: "as pty-no-ctty, and the shell is in the agent's own process group: a signal to " +
      "that group ends it too",
  },
];
