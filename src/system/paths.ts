/** The name of the program, its service, its folders and its link. */
export const NAME = "noderax-agent";

/** The systemd unit. */
export const SERVICE = `${NAME}.service`;

/** Where all units of work are: `systemctl status noderax.slice` shows them. */
export const SLICE = "noderax.slice";

/** The user that the installer makes and has tasks run as. */
export const SERVICE_USER = "noderax";

/** The folder that systemd has made for this start of the service, if it has started the agent. */
export function runtimeFolderOf(env: (name: string) => string | undefined): string | undefined {
  // A drop-in may name more of them.
  return env("RUNTIME_DIRECTORY")?.split(":")[0] || undefined;
}

/** Where an installed agent has its parts; the same places as the 1.x agent. */
export const INSTALLED = {
  /** All of the program; root's. */
  programFolder: "/opt/noderax-agent",
  /** What is started. */
  program: "/opt/noderax-agent/noderax-agent",
  /** What makes it a command. */
  link: "/usr/local/bin/noderax-agent",
  /** The configuration's folder. */
  configFolder: "/etc/noderax-agent",
  /** The configuration. */
  config: "/etc/noderax-agent/config.json",
  /** What the agent must remember. */
  stateFolder: "/var/lib/noderax-agent",
  /** The identity. */
  identity: "/var/lib/noderax-agent/agent_identity.json",
  /** What Deno has found out about the program: a quicker start and less memory; root's alone. */
  cacheFolder: "/var/cache/noderax-agent",
  /** Gone with each boot: the socket that `status` asks. */
  runtimeFolder: "/run/noderax-agent",
  /** The unit file. */
  unit: "/etc/systemd/system/noderax-agent.service",
  /** The home of the user for tasks. */
  home: "/home/noderax",
  /** Rules of sudo. */
  sudoersFolder: "/etc/sudoers.d",
  /** What the agent in Go had root do for it. */
  helperFolder: "/usr/local/libexec",
  /** Where a package has installed the agent: the package's kind, `deb` or `rpm`. */
  packageMark: "/opt/noderax-agent/package",
} as const;

/** What an installation calls its program with, and a cache folder: what Deno keeps of it is made there. */
export const PREPARE = "prepare-cache";
