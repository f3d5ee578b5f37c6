import { join } from "@std/path";
import { runTool } from "../../src/system/tool.ts";
import { tell } from "../_together.ts";
import { archiveOf } from "./_apt_sources.ts";
import { TemporaryFolder } from "./_temporary_folder.ts";

/** What an ordinary server has beside the essential packages. */
const PACKAGES = [
  ...["systemd", "systemd-sysv", "dbus", "procps", "sudo", "ca-certificates"],
  // For the packages of the agent: rpm installs those of its kind, Python runs Ansible.
  ...["python3", "python3-apt", "rpm"],
  // For changes of packages by dnf.
  ...["dnf", "createrepo-c"],
];

/**
 * Its own archive, of one small package: what is installed from it needs no network. And nothing that
 * takes the locks of packages begins by itself, at an hour of its own.
 */
const SETUP = `
set -e
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
echo sd >/etc/hostname
echo '127.0.0.1 localhost sd' >/etc/hosts
: >/etc/machine-id
mkdir /srv/archive
cd /srv/archive
apt-get download -qq hello
dpkg-deb -f hello_*.deb >Packages
printf 'Filename: %s\\nSize: %s\\nSHA256: %s\\n' hello_*.deb "$(stat -c %s hello_*.deb)" \
  "$(sha256sum hello_*.deb | cut -d' ' -f1)" >>Packages
echo 'deb [trusted=yes] file:/srv/archive ./' >/etc/apt/sources.list
apt-get clean
rm -rf /var/lib/apt/lists/*
apt-get update -qq`;

/** This machine does not allow it to boot another; the message says why in one line. */
export class CannotBoot extends Error {}

/**
 * The folder of a Debian system to boot, this machine's or the one that `NODERAX_TEST_SUITE` names,
 * made with debootstrap on the first call and kept in the cache. Missing packages of the host are
 * installed. Throws {@linkcode CannotBoot}.
 */
export async function rootFileSystem(): Promise<string> {
  if (Deno.uid() !== 0) throw new CannotBoot("this needs root");
  await installHostPackages();
  const osRelease = await Deno.readTextFile("/etc/os-release");
  const ownSuite = /^VERSION_CODENAME="?(\w+)/m.exec(osRelease)?.[1];
  if (!ownSuite) {
    throw new CannotBoot("this distribution has no codename that debootstrap could take");
  }
  const suite = Deno.env.get("NODERAX_TEST_SUITE") ?? ownSuite;
  const folder = join(cacheFolder(), `${suite}-${await shortHash([...PACKAGES, SETUP].join())}`);
  const isThere = await Deno.stat(folder).then(() => true, () => false);
  if (!isThere) await makeRootFileSystem(suite, folder, await hostArchive(ownSuite));
  return folder;
}

/** Where what is slow to make is kept. */
export function cacheFolder(): string {
  const base = Deno.env.get("XDG_CACHE_HOME") || "/var/cache";
  return join(base, "noderax-agent-test");
}

async function shortHash(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(hash).toHex().slice(0, 12);
}

/** systemd-nspawn must be of systemd's own version: another would take systemd along. */
async function installHostPackages(): Promise<void> {
  const format = "${db:Status-Status} ${Version}";
  const systemd = await runTool("dpkg-query", "--show", "--showformat", format, "systemd");
  if (systemd.code === 127) throw new CannotBoot("this is no Debian system: there is no dpkg");
  const [status, version] = systemd.stdout.split(" ");
  const missing: string[] = [];
  if (!await isCommand("systemd-nspawn")) {
    missing.push(status === "installed" ? `systemd-container=${version}` : "systemd-container");
  }
  if (!await isCommand("debootstrap")) missing.push("debootstrap");
  if (!await isCommand("rpmbuild")) missing.push("rpm");
  if (missing.length === 0) return;
  await demand("apt-get", "update", "-qq");
  const quiet = ["env", "DEBIAN_FRONTEND=noninteractive"] as const;
  await demand(...quiet, "apt-get", "install", "-y", "-qq", "--no-install-recommends", ...missing);
}

async function isCommand(name: string): Promise<boolean> {
  return (await runTool(name, "--version")).code === 0;
}

/** Made beside its place and put there whole, so that what is in the cache is complete. */
async function makeRootFileSystem(
  suite: string,
  folder: string,
  archive: Awaited<ReturnType<typeof hostArchive>>,
): Promise<void> {
  tell(`Making a ${suite} system with debootstrap; it is kept in ${folder}.`);
  await Deno.mkdir(cacheFolder(), { recursive: true, mode: 0o700 });
  await using partial = await TemporaryFolder.make({ dir: cacheFolder(), prefix: "partial-" });
  const { path } = partial;
  const include = `--include=${PACKAGES.join(",")}`;
  const components = `--components=${archive.components.join(",")}`;
  const options = ["--variant=minbase", include, components];
  await demand("debootstrap", ...options, suite, path, archive.uri);
  await demand("chroot", path, "sh", "-c", SETUP);
  // Temporary folders are private; a root folder is not.
  await Deno.chmod(path, 0o755);
  await Deno.rename(path, folder);
}

/** The archive that this machine's own apt uses. */
async function hostArchive(suite: string) {
  const folder = "/etc/apt/sources.list.d";
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name).catch(() => []);
  const read = (path: string) => Deno.readTextFile(path).catch(() => "");
  const textOf = async (paths: string[]) => (await Promise.all(paths.map(read))).join("\n\n");
  const inFolder = (end: string) =>
    names.filter((name) => name.endsWith(end)).sort().map((name) => join(folder, name));
  const archive = archiveOf(
    suite,
    await textOf(["/etc/apt/sources.list", ...inFolder(".list")]),
    await textOf(inFolder(".sources")),
  );
  if (!archive) throw new CannotBoot(`apt's sources name no archive for ${suite}`);
  return archive;
}

/** Runs a program that must succeed, else {@linkcode CannotBoot} with what it said last. */
async function demand(program: string, ...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await runTool(program, ...args);
  if (code === 0) return;
  const lastLine = `${stdout}\n${stderr}`.trimEnd().split("\n").at(-1);
  throw new CannotBoot(`${[program, ...args].join(" ")}: ${lastLine}`);
}
