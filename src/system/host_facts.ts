import { VERSION } from "./version.ts";

/** What a node tells of itself when it enrolls and with each heartbeat. */
export interface HostFacts {
  /** Distribution id, such as `debian`. */
  os: string;
  /** Processor architecture in Go's terms: `amd64`, `arm64`. */
  arch: string;
  /** Version of this agent. */
  agentVersion: string;
  /** Its version, as the point release where it has those: `12.11`. */
  platformVersion: string;
  /** Kernel release. */
  kernelVersion: string;
}

/** Where a distribution may describe itself: the first one that is there counts (os-release(5)). */
const OS_RELEASE_FILES = ["/etc/os-release", "/usr/lib/os-release"];
/** What Debian and what is made of it say besides: `VERSION_ID` is the `12` of `12.11`. */
const DEBIAN_VERSION_FILE = "/etc/debian_version";
const GO_ARCH: Record<string, string> = { x86_64: "amd64", aarch64: "arm64" };
/** The control plane's columns, in characters (contract: Realtime, rules found by trying). */
const LIMITS = {
  os: 120,
  arch: 64,
  agentVersion: 64,
  platformVersion: 120,
  kernelVersion: 120,
} as const satisfies Record<keyof HostFacts, number>;
const MAX_HOSTNAME = 255;
/** All three versions are sent or none: what is not known must not be empty either. */
const UNKNOWN = "unknown";

/** What {@linkcode readHostFacts} asks the machine. */
export interface HostSources {
  /** Reads a text file; throws when it is not there. */
  readTextFile?: (path: string) => Promise<string>;
  /** The kernel release. */
  kernel?: () => string;
  /** Processor architecture in Deno's terms. */
  arch?: string;
}

/** Learns what the control plane shows of this machine, cut to what it can store. */
export async function readHostFacts(sources: HostSources = {}): Promise<HostFacts> {
  const { readTextFile = Deno.readTextFile, kernel = Deno.osRelease, arch = Deno.build.arch } =
    sources;
  const release = parseOsRelease(await readFirst(OS_RELEASE_FILES, readTextFile));
  const debian = await readFirst([DEBIAN_VERSION_FILE], readTextFile);
  return {
    os: cut(release.ID || Deno.build.os, LIMITS.os),
    arch: cut(GO_ARCH[arch] ?? arch, LIMITS.arch),
    agentVersion: cut(VERSION, LIMITS.agentVersion),
    // Rolling distributions have no VERSION_ID.
    platformVersion: cut(
      pointRelease(release.VERSION_ID, release.VERSION, debian) || release.BUILD_ID ||
        release.VERSION_CODENAME || UNKNOWN,
      LIMITS.platformVersion,
    ),
    kernelVersion: cut(kernel() || UNKNOWN, LIMITS.kernelVersion),
  };
}

/** The host's name within the control plane's bounds of 2 to 255 characters (contract: Enrollment). */
export function hostnameForEnrollment(hostname: string = Deno.hostname()): string {
  return cut(hostname.length < 2 ? `host-${hostname || UNKNOWN}` : hostname, MAX_HOSTNAME);
}

async function readFirst(paths: string[], read: (path: string) => Promise<string>) {
  for (const path of paths) {
    try {
      return await read(path);
    } catch {
      // Containers and small distributions do without: the next one, or none.
    }
  }
  return "";
}

/** The first of `texts` that begins with the version and goes on with its point release. */
function pointRelease(version: string | undefined, ...texts: (string | undefined)[]) {
  const longer = texts.map((text) => /^\d+(\.\d+)+/.exec(text ?? "")?.[0])
    .find((text) => text?.startsWith(`${version}.`));
  return longer ?? version;
}

/** `KEY=value` lines, the value plain or in shell quotes. */
function parseOsRelease(text: string): Record<string, string> {
  const entries = [...text.matchAll(/^([A-Z0-9_]+)=(["']?)(.*)\2\s*$/gm)]
    .map(([, key = "", quote, value = ""]) => [
      key,
      (quote === '"' ? value.replace(/\\([\\"$`])/g, "$1") : value).trim(),
    ]);
  return Object.fromEntries(entries);
}

/** Never inside a surrogate pair. */
function cut(text: string, maxCharacters: number): string {
  return [...text].slice(0, maxCharacters).join("");
}
