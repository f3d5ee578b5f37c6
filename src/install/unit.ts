import { dirname, isAbsolute } from "@std/path";
import type { Config } from "../config/mod.ts";
import { INSTALLED, NAME } from "../system/paths.ts";

/** What an agent takes after shutdown_timeout to end its tasks and report them, and some more. */
const AFTER_SHUTDOWN_MS = 2 * 60_000;
/** So that a shutdown_timeout that is raised a little later needs no new unit. */
const LEAST_STOP_MS = 10 * 60_000;
/** How long a start may take: 2 min each for its pause and its first word, and some more. */
const START_SECONDS = 5 * 60;

/**
 * The pause before a start that systemd makes by itself: 0, 1, 3, 7, 15, then 30 s, and from the
 * beginning again after ten good minutes. systemd's own RestartSteps= is younger than many machines.
 */
const PAUSE = [
  'cd "$RUNTIME_DIRECTORY" && s=0',
  '[ "$(systemctl show --value -p NRestarts %n)" = 0 ] || [ ! "$(find pause -mmin -10 2>/dev/null)" ] || s=$(cat pause)',
  "echo $((s < 15 ? s * 2 + 1 : 30)) >pause",
  'sleep "$s"',
].join("; \\\n    ").replaceAll("$", () => "$$");

/**
 * What binds the agent alone, as its tasks and terminals are in units of their own. It chooses the
 * owners of their pipes (CAP_CHOWN), and asks systemd for all else that root may do.
 */
const lockedDown = (stateFile: string) => `
# The agent's work is in units of its own, which nothing of this binds: see docs/security.md.
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_CHOWN
ProtectSystem=strict
ReadWritePaths=-${INSTALLED.configFolder}${ownState(stateFile)}
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
PrivateMounts=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=ENOSYS
UMask=0077
# However many processors that work takes: the agent has little to do, and that at once.
CPUWeight=1000
`;

/**
 * The name of a drop-in that locks the unit of a package down. The unit without it is for tasks that
 * are the agent's children, so that the machine chooses: the same name in /etc goes before it.
 */
export const LOCK_DOWN_DROP_IN = "locked-down.conf";

/** The text of {@linkcode LOCK_DOWN_DROP_IN}; undefined for the one that the package brings. */
export function lockDownDropIn({ taskIsolation, stateFile }: UnitConfig): string | undefined {
  if (taskIsolation === "child") return "# Tasks would inherit what locks the agent's unit down.\n";
  return ownState(stateFile) === "" ? undefined : packagedDropIn(stateFile);
}

/** The text of {@linkcode LOCK_DOWN_DROP_IN} of a package. */
export function packagedDropIn(stateFile: string): string {
  const others = "# In the place of a list of what is refused.\nSystemCallFilter=\n";
  return `[Service]\n${others}${lockedDown(stateFile).trimStart()}`;
}

/** The same where tasks are the agent's children, which inherit it all. */
const OPEN = `
# Tasks inherit these, and all above.
UMask=0022
SystemCallFilter=~@obsolete
SystemCallErrorNumber=ENOSYS
`;

/** What of a configuration the unit depends on. */
export type UnitConfig = Pick<Config, "shutdownTimeoutMs" | "taskIsolation" | "stateFile">;

/** Makes a state folder writable that is not the one of systemd's making. */
function ownState(stateFile: string): string {
  const folder = dirname(stateFile);
  if (!isAbsolute(stateFile) || folder === INSTALLED.stateFolder) return "";
  return `\nReadWritePaths="-${folder.replaceAll("%", "%%")}"`;
}

/** How long systemd waits for the end of an agent with this shutdown_timeout, in seconds. */
export function stopSeconds({ shutdownTimeoutMs }: { shutdownTimeoutMs: number }): number {
  return Math.ceil(Math.max(LEAST_STOP_MS, shutdownTimeoutMs + AFTER_SHUTDOWN_MS) / 1000);
}

/** No restart of an agent with this shutdown_timeout takes longer, in seconds. */
export function restartSeconds(config: { shutdownTimeoutMs: number }): number {
  return stopSeconds(config) + START_SECONDS;
}

/**
 * The text of the service's unit file for an agent with this configuration; `maker` is named in it as
 * who made it.
 *
 * It is locked down where tasks run in units of their own. Children inherit all that binds the agent,
 * and what is asked of tasks is an administrator's work on the whole machine. docs/security.md names
 * each option that is left out.
 */
export function renderUnit(
  { shutdownTimeoutMs, taskIsolation, stateFile }: UnitConfig,
  maker = `\`${NAME} install\``,
): string {
  return `# Made by ${maker}, which makes it anew with each upgrade.
# What you want otherwise belongs into a drop-in: systemctl edit ${NAME}

[Unit]
Description=Noderax agent
Wants=network-online.target
After=network-online.target
# It never gives up: without the agent nobody may be able to reach the machine.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
# The pseudo terminals of open sessions, for the next start: two for each.
FileDescriptorStoreMax=128
ExecStartPre=/bin/sh -c '${PAUSE}'
ExecStart=${INSTALLED.program} run
ExecReload=/bin/kill -HUP $MAINPID
# As it is without; but so the tasks of root have HOME, USER and SHELL.
User=root
# Where root's tasks begin, as in a shell of root's.
WorkingDirectory=-~
Environment=NODERAX_CONFIG_FILE=${INSTALLED.config}
Environment=TMPDIR=${INSTALLED.stateFolder}/tmp
# For HTTPS_PROXY, NO_PROXY and DENO_TLS_CA_STORE.
EnvironmentFile=-${INSTALLED.configFolder}/environment
StateDirectory=${NAME} ${NAME}/tmp
StateDirectoryMode=0700
CacheDirectory=${NAME}
CacheDirectoryMode=0700
RuntimeDirectory=${NAME}
RuntimeDirectoryMode=0700
# What lives on in units of tasks has its pipes there, also while the agent is stopped. Else a stop
# leaves nothing in it but a socket that nobody serves, and the count of pauses.
RuntimeDirectoryPreserve=yes

Restart=always
RestartSec=1s
WatchdogSec=3min
TimeoutStartSec=2min
# Longer than shutdown_timeout and what reporting the ended tasks takes.
TimeoutStopSec=${stopSeconds({ shutdownTimeoutMs })}s
# The agent is told, and ends and reports its tasks; what it leaves behind is killed.
KillMode=mixed

# A tenth of the memory is forgiven: the agent lives, a task that eats it all does not.
OOMScoreAdjust=-100
OOMPolicy=continue
LimitNOFILE=65536
# A fork bomb in a task leaves the machine usable.
TasksMax=16384
KeyringMode=private
${taskIsolation === "child" ? OPEN : lockedDown(stateFile)}
[Install]
WantedBy=multi-user.target
`;
}
