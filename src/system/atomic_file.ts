import { basename, dirname, join, resolve } from "@std/path";
import { writeAll } from "./write_all.ts";

/** How {@linkcode writeFileAtomic} writes. */
export interface AtomicWriteOptions {
  /** Permission bits of the file, whatever the umask says; 0600 unless told. */
  readonly mode?: number;
  /** Whether the rename itself must survive a loss of power; true unless told. */
  readonly syncFolder?: boolean;
}

/**
 * Replaces a file's whole content so that a reader, a crash or a loss of power
 * finds either the old content or the new one, never a part.
 *
 * A symbolic link stays one: its target is replaced. Owner and group of an
 * existing file are kept where the process may give files away. Missing parent
 * folders are made (0700). What is thrown is the file system's own error; a
 * failed write leaves no file behind, a killed one may leave `.<name>.<random>.tmp`.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  { mode = 0o600, syncFolder = true }: AtomicWriteOptions = {},
): Promise<void> {
  const target = await followLinks(path);
  const folder = dirname(target);
  await makeFolder(folder, syncFolder);

  const random = crypto.randomUUID().slice(0, 8);
  const temp = join(folder, `.${basename(target)}.${random}.tmp`);
  const file = await Deno.open(temp, { write: true, createNew: true, mode });
  try {
    try {
      await keepOwner(target, temp);
      await Deno.chmod(temp, mode);
      await writeAll(file, typeof data === "string" ? new TextEncoder().encode(data) : data);
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(temp, target);
  } catch (error) {
    await Deno.remove(temp).catch(() => {});
    throw error;
  }
  if (syncFolder) await sync(folder);
}

/** The file that `path` stands for, which need not exist yet. */
async function followLinks(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const link = await Deno.readLink(path).catch(() => undefined);
  if (link === undefined) return path;
  return followLinks(resolve(await Deno.realPath(dirname(path)), link));
}

/** Makes a folder (0700) and those above it, unless it is there; synced unless told otherwise. */
export async function makeFolder(folder: string, syncParents = true): Promise<void> {
  if (await exists(folder)) return;
  const parent = dirname(folder);
  await makeFolder(parent, syncParents);
  // Recursive only because it does not mind that somebody else was quicker.
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  if (syncParents) await sync(parent);
}

async function keepOwner(target: string, temp: string): Promise<void> {
  if (!await exists(target)) return;
  const [old, fresh] = await Promise.all([Deno.stat(target), Deno.stat(temp)]);
  if (old.uid === fresh.uid && old.gid === fresh.gid) return;
  // Who may not give a file away may still hand it to another group of theirs.
  await Deno.chown(temp, old.uid, old.gid)
    .catch(() => Deno.chown(temp, null, old.gid))
    .catch(() => {});
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

async function sync(folder: string): Promise<void> {
  using handle = await Deno.open(folder);
  await handle.sync();
}
