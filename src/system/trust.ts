import { dirname, resolve } from "@std/path";
import { UserError } from "./user_error.ts";

/** Group and others may write. */
const OTHERS_WRITE = 0o022;
/** Everybody may write. */
const ALL_WRITE = 0o002;
const STICKY = 0o1000;
/** The kernel follows no more links in one path. */
const MAX_LINKS = 40;

/** Whether this process is root, who believes nobody else. */
export function isRoot(): boolean {
  return Deno.uid() === 0;
}

/** The users whose word counts here: root's, and one's own. */
export function trustedOwners(): number[] {
  return [0, Deno.uid() ?? 0];
}

/** What `path` stands for, see {@linkcode chase}. */
export interface Chased {
  /** Where it is, with every link resolved; what is not there yet is below what is. */
  place: string;
  /** What is there; undefined if nothing is. */
  info?: Deno.FileInfo;
  /** Who else may decide what the path stands for: the end of a sentence. */
  problem?: string;
}

/**
 * Follows `path` step by step, as the kernel does, and looks at every folder and link on the way:
 * whoever may write in one of them decides what the path stands for. `owners` may; in a folder with
 * the sticky bit, such as /tmp, everybody may make entries but nobody may replace those of others.
 * `look` is another {@linkcode lookAt}.
 *
 * @throws what the file system answers, such as that the links lead in a circle.
 */
export async function chase(
  path: string,
  owners: readonly number[] = trustedOwners(),
  look: typeof lookAt = lookAt,
): Promise<Chased> {
  const steps = partsOf(resolve(path));
  let place = "/";
  let problem: string | undefined;
  for (let links = 0;;) {
    const info = await look(place);
    if (!info) return { place: resolve(place, ...steps), ...(problem ? { problem } : {}) };
    if (info.isSymlink) {
      if (++links > MAX_LINKS) {
        if (problem !== undefined) return { place, problem };
        // The system's own word on a loop.
        await Deno.realPath(path);
      }
      if (!owners.includes(info.uid ?? -1)) problem ??= `${place} is a link of user ${info.uid}`;
      const target = await Deno.readLink(place);
      steps.unshift(...partsOf(target));
      place = target.startsWith("/") ? "/" : dirname(place);
      continue;
    }
    const next = steps.shift();
    if (next === undefined) return { place, info, ...(problem ? { problem } : {}) };
    const isShared = info.isDirectory && ((info.mode ?? 0) & STICKY) !== 0;
    problem ??= problemOf(place, isShared ? { ...info, mode: 0 } : info, owners);
    place = resolve(place, next);
  }
}

/**
 * Who else than `owners` may write what `path` stands for, or decide what it stands for; undefined
 * if nobody may. What is not there yet is judged by the folders above it.
 */
export async function whoElseWrites(
  path: string,
  owners: readonly number[] = trustedOwners(),
): Promise<string | undefined> {
  const { place, info, problem } = await chase(path, owners);
  return problem ?? (info && problemOf(place, info, owners));
}

/** Who else may write the file or folder itself: the end of a sentence that begins with a colon. */
export function problemOf(
  path: string,
  { uid, mode }: Pick<Deno.FileInfo, "uid" | "mode">,
  owners: readonly number[] = trustedOwners(),
): string | undefined {
  if (!owners.includes(uid ?? -1)) return `${path} belongs to user ${uid}`;
  // Whom a user's group has in it is that user's own affair.
  const bits = trustedOwners().includes(uid ?? -1) ? OTHERS_WRITE : ALL_WRITE;
  if (((mode ?? 0) & bits) === 0) return undefined;
  return `${path} can be written by others than its owner (mode ${octal(mode)})`;
}

/**
 * Who else may write in a folder of this account's: the end of a sentence, undefined if nobody may or
 * it is not there. Of root's folder all those above it count as well: who may rename one of them has
 * it replaced.
 */
export async function folderProblem(folder: string): Promise<string | undefined> {
  return isRoot() ? await whoElseWrites(folder) : await problemOfOwn(folder);
}

/**
 * Makes sure that a folder, unless it is not there yet, is this account's alone to write.
 *
 * @throws {UserError} that says who else may write there and what to do. `what` names the folder.
 */
export async function requireOwnFolder(folder: string, what: string): Promise<void> {
  const problem = await folderProblem(folder);
  if (problem === undefined) return;
  const path = resolve(folder);
  const why = problem.startsWith(`${path} `) ? `it${problem.slice(path.length)}` : problem;
  throw new UserError(
    `${what} ${path} is not used, because ${why}: move it away, or look at all that is in it and ` +
      "then make it this account's alone (chown -R, chmod -R go-w).",
  );
}

async function problemOfOwn(folder: string): Promise<string | undefined> {
  const info = await lookAt(await Deno.realPath(folder).catch(() => folder));
  return info && problemOf(folder, info);
}

/** What is at `path`, links not followed; undefined if nothing is. */
export async function lookAt(path: string): Promise<Deno.FileInfo | undefined> {
  return await Deno.lstat(path).catch(ifThere);
}

function ifThere(error: unknown): undefined {
  if (error instanceof Deno.errors.NotFound) return undefined;
  if (error instanceof Deno.errors.NotADirectory) return undefined;
  throw error;
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function octal(mode: number | null): string {
  return ((mode ?? 0) & 0o7777).toString(8).padStart(4, "0");
}
