/**
 * The functions of JSR's `@std/path` that the project uses, with their signatures and for Linux alone:
 * deno.json gives this file that name. Deno's `node:path` does the same, but brings 5 MB of Node with it.
 *
 * @module
 */

/** Joins parts of a path and normalizes the result. */
export function join(...paths: string[]): string {
  return normalize(paths.filter((path) => path !== "").join("/"));
}

/** Makes an absolute path of parts: the last that is absolute begins it, else the working directory. */
export function resolve(...pathSegments: string[]): string {
  const from = pathSegments.findLastIndex(isAbsolute);
  const segments = from < 0 ? [Deno.cwd(), ...pathSegments] : pathSegments.slice(from);
  const path = normalize(segments.filter((segment) => segment !== "").join("/"));
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/** Takes `.`, `..` and repeated slashes out of a path. */
export function normalize(path: string): string {
  if (path === "") return ".";
  const root = isAbsolute(path) ? "/" : "";
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (root === "") kept.push(part);
  }
  const end = path.endsWith("/") && kept.length > 0 ? "/" : "";
  return root + kept.join("/") + end || (path.endsWith("/") ? "./" : ".");
}

/** Whether a path begins at the root. */
export function isAbsolute(path: string): boolean {
  return path.startsWith("/");
}

/** The path without its last part. */
export function dirname(path: string): string {
  const end = trimmed(path).lastIndexOf("/");
  if (end < 0) return isAbsolute(path) ? "/" : ".";
  // Two slashes may mean something else than one.
  return end === 1 && isAbsolute(path) ? "//" : path.slice(0, end) || "/";
}

/** The last part of a path, without `suffix` if it is more than that. */
export function basename(path: string, suffix = ""): string {
  if (path === suffix) return "";
  const whole = trimmed(path);
  const name = whole.slice(whole.lastIndexOf("/") + 1);
  return name !== suffix && name.endsWith(suffix)
    ? name.slice(0, name.length - suffix.length)
    : name;
}

/** The way from one path to another. */
export function relative(from: string, to: string): string {
  const [before, after] = [partsOf(from), partsOf(to)];
  const differs = before.findIndex((part, i) => part !== after[i]);
  const common = differs < 0 ? before.length : differs;
  return [...before.slice(common).map(() => ".."), ...after.slice(common)].join("/");
}

function partsOf(path: string): string[] {
  return resolve(path).split("/").filter((part) => part !== "");
}

/** Without slashes at the end. */
function trimmed(path: string): string {
  return path.replace(/\/+$/, "");
}
