const SERVICE = "noderax-agent";

/**
 * The commands that `rootScope: operational` allows, and what is run for each. The restart is only
 * asked for: a task that waited for it would be ended by it.
 */
const COMMANDS: ReadonlyMap<string, string[]> = new Map([
  ["apt-get update", ["apt-get", "update"]],
  ["dnf makecache", ["dnf", "makecache"]],
  [`systemctl restart ${SERVICE}`, ["systemctl", "--no-block", "restart", SERVICE]],
  [`systemctl restart ${SERVICE}.service`, ["systemctl", "--no-block", "restart", SERVICE]],
  ["systemctl reboot", ["systemctl", "reboot"]],
  ["reboot", ["reboot"]],
  ["shutdown -r now", ["shutdown", "-r", "now"]],
]);

/** Why others are refused, in a sentence. */
export const NOT_OPERATIONAL = `rootScope "operational" allows exactly these commands: ${
  [...COMMANDS.keys()].join(", ")
}`;

/**
 * What to run, without a shell, for a command of `rootScope: operational`; undefined if it is none.
 * Words may be set apart by more than one space, and that is all: nothing is quoted or expanded.
 */
export function operationalArgv(command: string): string[] | undefined {
  return COMMANDS.get(command.trim().replaceAll(/ +/g, " "));
}
