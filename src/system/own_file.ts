import { writeFileAtomic } from "./atomic_file.ts";
import { problemOf } from "./trust.ts";
import { UserError } from "./user_error.ts";

/** A file may be replaced while it is opened, by the agent itself; so often it is tried. */
const TRIES = 5;

/** How {@linkcode openOwn} opens. */
export type OwnFileOptions = Pick<Deno.OpenOptions, "read" | "write" | "append" | "create">;

/** A file that others could have written, or have put there. */
export class NotOwnError extends UserError {
  /** The file. */
  readonly path: string;

  /** `why` is the rest of a sentence about it. */
  constructor(path: string, why: string) {
    super(
      `${path} is not used, because ${why}: look at what it holds, then make it this account's ` +
        "alone, or remove it.",
    );
    this.path = path;
  }
}

/**
 * Opens a file of the agent's own: a regular one that root or this account owns and nobody else may
 * write, as seen on the open descriptor. It is never reached through a link, and a new one is 0600.
 *
 * @throws {NotOwnError} for any other, and what the file system answers.
 */
export async function openOwn(path: string, options: OwnFileOptions): Promise<Deno.FsFile> {
  for (let tries = 1;; tries++) {
    try {
      const found = await Deno.lstat(path);
      refuse(path, found);
      const file = await Deno.open(path, { ...options, create: false });
      if (isSame(path, found, await file.stat(), file)) return file;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) || !options.create) throw error;
      try {
        return await Deno.open(path, { ...options, create: false, ...NEW });
      } catch (error) {
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      }
    }
    if (tries === TRIES) throw new NotOwnError(path, "it is replaced again and again");
  }
}

/** Like {@linkcode openOwn}, at once. */
export function openOwnSync(path: string, options: OwnFileOptions): Deno.FsFile {
  let found: Deno.FileInfo;
  try {
    found = Deno.lstatSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound) || !options.create) throw error;
    return Deno.openSync(path, { ...options, create: false, ...NEW });
  }
  refuse(path, found);
  const file = Deno.openSync(path, { ...options, create: false });
  if (isSame(path, found, file.statSync(), file)) return file;
  throw new NotOwnError(path, "it was replaced");
}

/** The text of a file of the agent's own, see {@linkcode openOwn}. */
export async function readOwn(path: string): Promise<string> {
  return new TextDecoder().decode(await readOwnBytes(path));
}

/** Keeps a copy of a file of the agent's own, damaged as it may be, at `to`. */
export async function copyOwn(path: string, to: string): Promise<void> {
  await writeFileAtomic(to, await readOwnBytes(path));
}

async function readOwnBytes(path: string): Promise<Uint8Array> {
  // Closed by its stream's end.
  const file = await openOwn(path, { read: true });
  return await new Response(file.readable).bytes();
}

/** It must not be there: no link is followed then. */
const NEW = { createNew: true, mode: 0o600 } as const;

function refuse(path: string, info: Deno.FileInfo): void {
  if (info.isSymlink) throw new NotOwnError(path, "it is a link");
  if (!info.isFile) throw new NotOwnError(path, "it is no regular file");
  const problem = problemOf("it", info);
  if (problem) throw new NotOwnError(path, problem);
}

/** Whether what was opened is what was looked at; else it is closed. */
function isSame(
  path: string,
  found: Deno.FileInfo,
  opened: Deno.FileInfo,
  file: Deno.FsFile,
): boolean {
  try {
    if (opened.dev === found.dev && opened.ino === found.ino) {
      refuse(path, opened);
      return true;
    }
  } catch (error) {
    file.close();
    throw error;
  }
  file.close();
  return false;
}

/**
 * Removes what of a folder has been made, in this order and the folder last, where it could not be made
 * whole. A step at a time: to list it takes a descriptor, which may be what there is none of.
 */
export function unmakeSync(...paths: string[]): void {
  for (const path of paths) {
    try {
      Deno.removeSync(path);
    } catch {
      // It did not come to that.
    }
  }
}
