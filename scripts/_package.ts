import { dirname, join } from "@std/path";
import project from "../deno.json" with { type: "json" };
import { configSchema } from "../src/config/mod.ts";
import { LOCK_DOWN_DROP_IN, packagedDropIn, renderUnit } from "../src/install/unit.ts";
import { INSTALLED, NAME, SERVICE, SERVICE_USER } from "../src/system/paths.ts";
import { UserError } from "../src/system/user_error.ts";
import { runTool } from "../src/system/tool.ts";
import type { ReleaseTree } from "./_release_tree.ts";
import { mustRun } from "./_tool.ts";

/** A kind of package, as its mark has it in the program's folder. */
export type PackageKind = "deb" | "rpm";

/** How a package is made. */
export interface PackageOptions {
  /** Of what is in it: xz, or none, which is quicker to make by far. */
  compression?: "xz" | "none";
  /** In the place of deno.json's. */
  version?: string;
}

/** What a package is made of. */
export interface PackageParts extends PackageOptions {
  /** The unpacked release; see {@linkcode ReleaseTree}. */
  tree: Pick<ReleaseTree, "folder" | "revision" | "scratch" | "target" | "name">;
  /** Where to put the package. */
  outputFolder: string;
}

/** Where a package has the unit file: an administrator's own, in /etc, goes before it. */
export const PACKAGED_UNIT = `/usr/lib/systemd/system/${SERVICE}`;

/** What locks that unit down. */
export const PACKAGED_LOCK_DOWN = `${PACKAGED_UNIT}.d/${LOCK_DOWN_DROP_IN}`;

/** xz's own 6 takes six times as long, for a package that is a tenth smaller. */
export const XZ_LEVEL = 1;

/** For both kinds. */
export const DESCRIPTION = {
  summary: "agent that lets a Noderax control plane watch and run this machine",
  text: [
    "The agent enrolls the machine with a Noderax control plane, runs the tasks",
    "that it is given, reports telemetry, and opens terminals for operators.",
  ],
  maintainer: "The Noderax authors <maintainers@noderax.invalid>",
} as const;

const SCRIPTS = join(import.meta.dirname ?? "", "package");
/** What the agent needs to find its own places; it never changes, so that nobody is asked about it. */
const CONFIG = { state_file: INSTALLED.identity, run_as_user: SERVICE_USER };
const SYSUSERS = `u ${SERVICE_USER} - "Noderax agent tasks" /home/${SERVICE_USER} /bin/bash\n`;

/** The version in the form in which packages of both kinds sort a preview before its release. */
export function packageVersion(version: string = project.version): string {
  return version.replace("-", "~");
}

/** Lays out below `root` what a package of either kind installs; everything has its mode. */
export async function layOut(root: string, kind: PackageKind, parts: PackageParts): Promise<void> {
  const at = (path: string) => join(root, path);
  const write = async (path: string, text: string, mode = 0o644) => {
    await Deno.mkdir(dirname(at(path)), { recursive: true });
    await Deno.writeTextFile(at(path), text);
    await Deno.chmod(at(path), mode);
  };
  await Deno.mkdir(dirname(at(INSTALLED.programFolder)), { recursive: true });
  await mustRun("cp", "-a", parts.tree.folder, at(INSTALLED.programFolder));
  await write(INSTALLED.packageMark, `${kind}\n`);
  // Tasks may be children of the agent, which inherit what binds it: for them it goes without the
  // drop-in.
  const unit = { ...configSchema.parse({}), taskIsolation: "child" } as const;
  await write(PACKAGED_UNIT, renderUnit(unit, `the package ${NAME}`));
  await write(PACKAGED_LOCK_DOWN, packagedDropIn(INSTALLED.identity));
  await write(`/usr/lib/sysusers.d/${NAME}.conf`, SYSUSERS);
  await write(INSTALLED.config, `${JSON.stringify(CONFIG, null, 2)}\n`, 0o600);
  await Deno.mkdir(at(INSTALLED.stateFolder), { recursive: true });
  // A library is not a program.
  await mustRun("find", root, "-name", "*.node", "-exec", "chmod", "644", "{}", "+");
  await mustRun("find", root, "-type", "d", "-exec", "chmod", "755", "{}", "+");
  await Deno.chmod(at(INSTALLED.stateFolder), 0o700);
}

/** Gives all below `root` the release's time. */
export async function setTimes(root: string, { tree }: PackageParts): Promise<void> {
  const touch = ["touch", "--no-dereference", `--date=${tree.revision.date}`, "{}", "+"];
  await mustRun("find", root, "-exec", ...touch);
}

/** The script of a package that is called `name` there, with what all of them share. */
export async function packageScript(kind: PackageKind, name: string): Promise<string> {
  const shared = await Deno.readTextFile(join(SCRIPTS, "functions.sh"));
  return `set -e\n\n${shared}\n${await Deno.readTextFile(join(SCRIPTS, kind, `${name}.sh`))}`;
}

/** The time of the release, in seconds: what both tools take for that of the build. */
export function sourceDate({ tree }: PackageParts): string {
  return `SOURCE_DATE_EPOCH=${Math.floor(Date.parse(tree.revision.date) / 1000)}`;
}

/**
 * Does nothing if the tool is there.
 *
 * @throws {UserError} that says what to install.
 */
export async function requireTool(tool: string, debianPackage: string): Promise<void> {
  if ((await runTool(tool, "--version")).code === 0) return;
  throw new UserError(
    `There is no ${tool}, which makes this package: apt-get install ${debianPackage}.`,
  );
}
