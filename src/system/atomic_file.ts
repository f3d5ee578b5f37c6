import { basename, dirname, join, resolve } from "@std/path";
import { Mutex } from "./mutex.ts";
import { chase, isRoot, lookAt, trustedOwners } from "./trust.ts";

/** How {@linkcode writeFileAtomic} writes. */
export interface AtomicWriteOptions {
  /** Permission bits of the file, whatever the umask says; 0600 unless told. */
  readonly mode?: number;
  /** Whether the rename itself must survive a loss of power; true unless told. */
  readonly syncFolder?: boolean;
  /** Whether a symbolic link stays one and its target is replaced; else the link is. */
  readonly followLinks?: boolean;
  /** Whether this process alone writes the file, with one mode: there is no owner or mode to be kept. */
  readonly isOwn?: boolean;
  /** Called when all of it is written and the disk is waited for: time for what takes a while. */
  readonly onWaiting?: (() => void) | undefined;
}

/** A file's new content, on disk beside it. */
export interface StagedFile {
  /** Puts it in the place of the old one; nothing of it is left if that fails. */
  commit(): Promise<void>;
  /** Makes that survive a loss of power as well. */
  sync(): Promise<void>;
  /** Removes it. */
  discard(): Promise<void>;
}

/**
 * Replaces a file's whole content so that a reader, a crash or a loss of power
 * finds either the old content or the new one, never a part.
 *
 * Owner and group of an existing file are kept where the process may give files
 * away; like the mode they are set on the open file, never by its name. Missing parent
 * folders are made (0700). A failed write leaves no file behind, a killed one may
 * leave `.<name>.<random>.tmp`. Only a file that is a mount of its own is written in its place.
 *
 * @throws the file system's own error; as root also where somebody else may write in the folder or
 * one above it, or has put a link on the way: what is written there could end up anywhere.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: AtomicWriteOptions = {},
): Promise<void> {
  const file = await stageFile(path, data, options);
  await file.commit();
  await file.sync();
}

/**
 * The first half of {@linkcode writeFileAtomic}, which takes most of its time.
 *
 * No step is done at once, as quick as most of them are: a disk that answers no more would hold up
 * all that the agent does. To wait for one costs ten times as much as the step, so those that need
 * nothing of each other are waited for together.
 */
export async function stageFile(
  path: string,
  data: string | Uint8Array,
  options: AtomicWriteOptions = {},
): Promise<StagedFile> {
  const { mode = 0o600, syncFolder = true, followLinks = false, isOwn = false } = options;
  const target = await placeOf(path, followLinks);
  const folder = dirname(target);
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const temp = join(folder, tempName(target));
  // What has failed before says why.
  const discard = () => Deno.remove(temp).catch(() => {});
  try {
    using file = await openNew(temp, mode, syncFolder);
    if (!isOwn) await setOwnerAndMode(target, { temp, file, mode });
    await writeAll(file, bytes);
    const synced = file.sync();
    options.onWaiting?.();
    await synced;
  } catch (error) {
    await discard();
    throw error;
  }
  return {
    discard,
    async commit() {
      try {
        await Deno.rename(temp, target);
      } catch (error) {
        await discard();
        if (!isBusy(error)) throw error;
        // A file of its own mount, as in a container, can be written but not replaced.
        await writeInPlace(target, bytes);
      }
    },
    async sync() {
      if (syncFolder) await syncFolders(folder);
    },
  };
}

/** A folder that is missing is made: to look for it first would be one more wait. */
async function openNew(path: string, mode: number, syncFolder: boolean): Promise<Deno.FsFile> {
  const options = { write: true, createNew: true, mode };
  try {
    return await Deno.open(path, options);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    await makeFolder(dirname(path), syncFolder);
    return await Deno.open(path, options);
  }
}

/** What rename(2) answers for a mount point; Deno has no class of its own for it everywhere. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && /\(os error 16\)/.test(error.message);
}

async function writeInPlace(path: string, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true, truncate: true });
  await writeAll(file, bytes);
  await file.sync();
}

/** The name of the new file while it is not whole yet. */
export function tempName(path: string): string {
  return `.${basename(path)}.${crypto.randomUUID().slice(0, 8)}.tmp`;
}

/** How long a folder in which nobody else may write is not looked at again, in milliseconds. */
const TRUSTED_MS = 1_000;
/** The last such folder, and where it really is. */
let trusted: { folder: string; place: string; untilMs: number } | undefined;

/** The file that is to be replaced, which need not exist yet. */
async function placeOf(path: string, followLinks: boolean): Promise<string> {
  if (!followLinks && !isRoot()) return path;
  const folder = dirname(path);
  const isKnown = !followLinks && trusted?.folder === folder && performance.now() < trusted.untilMs;
  if (isKnown && trusted) return join(trusted.place, basename(path));
  // What is not there cannot be a link.
  const seen = followLinks ? path : join(folder, tempName(path));
  const { place, problem } = await chase(seen, trustedOwners(), lookAhead(seen));
  if (problem !== undefined && isRoot()) {
    throw new Error(`root writes only where nobody else does, and ${problem}`);
  }
  if (followLinks) return place;
  const untilMs = performance.now() + (problem === undefined ? TRUSTED_MS : 0);
  trusted = { folder, place: dirname(place), untilMs };
  return join(trusted.place, basename(path));
}

/** Looks at all that is on the way to `path` together. */
function lookAhead(path: string): typeof lookAt {
  const looks = new Map<string, ReturnType<typeof lookAt>>();
  for (let at = resolve(path); !looks.has(at); at = dirname(at)) {
    const look = lookAt(at);
    // Whether anybody asks depends on what is before it.
    look.catch(() => {});
    looks.set(at, look);
  }
  return (at) => looks.get(at) ?? lookAt(at);
}

/** Makes a folder (0700) and those above it, unless it is there; synced unless told otherwise. */
export async function makeFolder(folder: string, syncParents = true): Promise<void> {
  if (await exists(folder)) return;
  const parent = dirname(folder);
  await makeFolder(parent, syncParents);
  // Recursive only because it does not mind that somebody else was quicker.
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  if (syncParents) await syncFolders(parent);
}

/** The owner of the file that is replaced, if there is one; on the open file, never by its name. */
async function setOwnerAndMode(
  target: string,
  { temp, file, mode }: { temp: string; file: Deno.FsFile; mode: number },
): Promise<void> {
  const [old, fresh] = await Promise.all([lookAt(target), file.stat()]);
  const { uid, gid } = old?.isFile ? old : fresh;
  const keepsOwner = uid === fresh.uid && gid === fresh.gid;
  if (keepsOwner && ((fresh.mode ?? 0) & 0o7777) === mode) return;
  // Deno's own file can be asked for neither. It is rare, and what it takes of Node is large.
  const { open } = await import("node:fs/promises");
  const handle = await open(temp, "r+");
  try {
    const { dev, ino } = await handle.stat();
    if (dev !== fresh.dev || ino !== fresh.ino) throw new Error(`${temp} was replaced`);
    if (!keepsOwner && uid !== null && gid !== null) {
      // Who may not give a file away may still hand it to another group of theirs.
      await handle.chown(uid, gid).catch(() => handle.chown(fresh.uid ?? uid, gid)).catch(() => {});
    }
    await handle.chmod(mode);
  } finally {
    await handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The syncs of folders that have not begun: whoever comes before they do shares them. */
const folderSyncs = new Map<string, Promise<void>>();
/** One sync of a folder at a time; that of another one may be on a disk that never answers. */
const folderTurns = new Map<string, Mutex>();

function syncFolders(folder: string): Promise<void> {
  const turns = folderTurns.get(folder) ?? new Mutex();
  folderTurns.set(folder, turns);
  const shared = folderSyncs.get(folder) ?? turns.take(async () => {
    folderSyncs.delete(folder);
    using handle = await Deno.open(folder);
    await handle.sync();
  });
  folderSyncs.set(folder, shared);
  return shared;
}

/** Writes all of the bytes, in as many parts as it takes. */
export async function writeAll(
  sink: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await sink.write(bytes.subarray(at));
}

/** The same at once, for what the system takes into its memory: to wait costs ten times as much. */
export function writeAllNow(
  sink: { writeSync(bytes: Uint8Array): number },
  bytes: Uint8Array,
): void {
  for (let at = 0; at < bytes.length;) at += sink.writeSync(bytes.subarray(at));
}
