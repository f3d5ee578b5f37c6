/** The exit codes of what systemd does before it starts a program, and two of them (systemd.exec(5)). */
const [FIRST, GROUP, USER, LAST] = [200, 216, 217, 243];

/**
 * Why systemd could not start a program that never began, by the exit code of its unit; undefined for
 * another code.
 */
export function unitProblem(exitCode: number, unit: string, user: string): string | undefined {
  if (exitCode < FIRST || exitCode > LAST) return undefined;
  const why = exitCode === GROUP || exitCode === USER
    ? `this machine has no user ${user} any more; create it again, or set run_as_user`
    : `systemd could not start it (exit code ${exitCode}); see journalctl -u ${unit}`;
  return `the command never began: ${why}`;
}
