import { dirname, join, resolve } from "@std/path";
import { writeFileAtomic } from "../system/atomic_file.ts";
import { statfs } from "../system/statfs.ts";
import { messageOf } from "../system/user_error.ts";
import { type Check, fail, type Finding, ok, warn } from "./check.ts";
import type { CheckContext } from "./check_context.ts";

const MIB = 1024 * 1024;
const SPACE_FAIL_BYTES = 50 * MIB;
const SPACE_WARN_BYTES = 500 * MIB;
/** A file system with less than this part free is warned of, in space and in inodes. */
const WARN_PART = 0.05;
const FREE_SPACE = "free some space; what takes most: du -xh --max-depth=2 / | sort -h | tail";

/** The state folder, its disk, and the folder for temporary files. */
export function storageChecks(context: CheckContext): Check[] {
  return [
    { name: "state folder", needs: ["config"], run: () => checkStateFolder(context) },
    { name: "disk", needs: ["config"], run: () => checkDisk(context) },
    { name: "temp folder", run: () => checkTempFolder(context) },
  ];
}

async function checkStateFolder({ loaded, run }: CheckContext): Promise<Finding> {
  const folder = await stateFolderOf(loaded);
  const existing = await firstExisting(folder);
  const probe = join(existing, `.noderax-doctor.${crypto.randomUUID().slice(0, 8)}`);
  try {
    // Written, synced and renamed as everything is that the agent must remember.
    await writeFileAtomic(probe, "written by doctor\n");
    await Deno.remove(probe);
  } catch (error) {
    const denied = error instanceof Deno.errors.PermissionDenied;
    const me = (await run("id", "-un")).stdout;
    return fail(
      `${existing} is not writable for ${me} (${denied ? "permission denied" : messageOf(error)})`,
      denied
        ? `run doctor as the agent's user, or: chown ${me} ${existing} && chmod 0700 ${existing}`
        : fixForWrite(messageOf(error)),
    );
  }
  return ok(
    existing === folder ? `${folder} is writable` : `${folder} can be created in ${existing}`,
  );
}

function fixForWrite(problem: string): string {
  if (/no space left|quota|os error (28|122)/i.test(problem)) return FREE_SPACE;
  return "mount it writable, or set state_file to a folder that is";
}

async function checkDisk({ loaded }: CheckContext): Promise<Finding> {
  const folder = await firstExisting(await stateFolderOf(loaded));
  return judgeDisk(folder, await statfs(folder));
}

/** What statfs(2) says that matters here. */
export interface FreeCounts {
  /** The size of a block, in bytes. */
  bsize: number;
  /** All blocks. */
  blocks: number;
  /** Blocks that anybody may still fill. */
  bavail: number;
  /** All inodes; 0 where the file system does not count them. */
  files: number;
  /** Free inodes. */
  ffree: number;
}

/** Judges the space that the state folder has left. */
export function judgeDisk(folder: string, counts: FreeCounts): Finding {
  const { bsize, blocks, bavail, files, ffree } = counts;
  const freeBytes = bavail * bsize;
  const freePart = bavail / (blocks || 1);
  const freeInodes = files === 0 ? 1 : ffree / files;
  const space = freeBytes < 10_000 * MIB
    ? `${Math.round(freeBytes / MIB)} MiB`
    : `${Math.round(freeBytes / MIB / 1024)} GiB`;
  const inodes = files === 0 ? "" : `, ${percent(freeInodes)} of inodes`;
  const found = `${space} (${percent(freePart)}) free at ${folder}${inodes}`;
  const fix = FREE_SPACE;
  if (freeBytes < SPACE_FAIL_BYTES || (files > 0 && ffree === 0)) return fail(found, fix);
  const scarce = freeBytes < SPACE_WARN_BYTES || freePart < WARN_PART || freeInodes < WARN_PART;
  return scarce ? warn(found, fix) : ok(found);
}

/** Runs a program there: a compiled agent unpacks its terminal addon into this folder. */
async function checkTempFolder({ loaded, run }: CheckContext): Promise<Finding> {
  let folder: string;
  try {
    const dir = await serviceTempFolder(loaded);
    folder = await Deno.makeTempDir({ prefix: "noderax-doctor-", ...(dir ? { dir } : {}) });
  } catch (error) {
    const fix = "set TMPDIR to an existing, writable folder";
    return fail(`no temporary files can be created: ${messageOf(error)}`, fix);
  }
  const temp = dirname(folder);
  try {
    const program = join(folder, "program");
    // A child writes it: nobody else can have it open for writing when it is run.
    const script = 'printf "#!/bin/sh\\nexit 0\\n" >"$1" && chmod 700 "$1" && "$1"';
    const { code, stderr } = await run("/bin/sh", "-c", script, "sh", program);
    if (code === 0) return ok(`${temp}: programs in it can be run`);
    // What a shell calls a write that finds no room.
    if (/I\/O error/.test(stderr)) return warn(`nothing can be written in ${temp}`, FREE_SPACE);
    const judge = Deno.build.standalone ? fail : warn;
    return judge(
      `programs in ${temp} cannot be run (${stderr.split(": ").at(-1)}): no terminals then`,
      `mount it without noexec: mount -o remount,exec ${temp}; or set TMPDIR to another folder`,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The agent's own, beside its state; undefined where there is none. */
export async function serviceTempFolder(
  loaded: CheckContext["loaded"],
): Promise<string | undefined> {
  try {
    const folder = join(await stateFolderOf(loaded), "tmp");
    return (await Deno.stat(folder)).isDirectory ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** The folder of the identity file. */
export async function stateFolderOf(loaded: CheckContext["loaded"]): Promise<string> {
  return dirname(resolve((await loaded()).config.stateFile));
}

async function firstExisting(folder: string): Promise<string> {
  for (let path = folder;; path = dirname(path)) {
    const isThere = await Deno.stat(path).then(
      () => true,
      (error) => !(error instanceof Deno.errors.NotFound),
    );
    if (isThere || path === dirname(path)) return path;
  }
}

function percent(part: number): string {
  return `${Math.floor(part * 100)} %`;
}
