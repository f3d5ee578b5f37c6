/** What looks like the user's part of a URL: up to the last `@` before path, query and fragment. */
const USER_INFO = /(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}:\/\/([^/?#\s]*)@/gi;
/** The same where a password holds a `/`, `?` or `#` that nobody has escaped; not for web addresses. */
const SLOPPY_USER_INFO =
  /(?<![a-z0-9+.-])(?!https?:)[a-z][a-z0-9+.-]{0,30}:\/\/([^\s:/?#@]*:[^\s@]{0,1000})@/gi;
/** `name=value` behind `?`, `&` or `;`, at the beginning, or behind white space. */
const PAIR =
  /(?<=(?:^|[?&;\s]))([a-z_][a-z0-9_.-]*(?: [a-z0-9_.-]+){0,3}) ?= ?("(?:[^"]|"")*"|'(?:[^'\\]|''|\\.)*'|\{[^}]*\}|[^;&\s]*)/gi;
/** Without a password the user's part of a web address is a token, if it is as long as one. */
const MIN_TOKEN_UNITS = 16;

/** Names of a connection's settings that contain a word for a secret, and tell which one is meant. */
const REFERENCE = /(?:name|id|type|file|path|mode)$/i;

/**
 * The passwords within a value that is readable for the rest: a URL or several, a connection string
 * (`key=value;…`, `key=value key=value`). Each comes as it is there and percent-decoded.
 */
export function passwordsIn(value: string, isSecretName: (name: string) => boolean): string[] {
  const found: string[] = [];
  for (const [, userInfo = ""] of value.matchAll(USER_INFO)) found.push(...passwordOf(userInfo));
  for (const [, userInfo = ""] of value.matchAll(SLOPPY_USER_INFO)) {
    found.push(...passwordOf(userInfo));
  }
  for (const [, name = "", text = ""] of value.matchAll(PAIR)) {
    // Otherwise it would be taken for the working directory.
    if (isSecretName(`its ${name}`) && !REFERENCE.test(name)) found.push(text, unquoted(text));
  }
  return found.flatMap((each) => [each, ...decoded(each)]).filter((each) => each !== "");
}

/** What of a web address only those know who may post to it: all that comes behind the host. */
export function secretPathsIn(value: string): string[] {
  return value.split(/[\s,]+/).flatMap((text) => {
    const url = URL.parse(text);
    if (!url || !/^https?:$/.test(url.protocol)) return [];
    const path = url.pathname.slice(1);
    const last = path.slice(path.lastIndexOf("/") + 1);
    const paths = [path + url.search, path, ...last.length >= MIN_TOKEN_UNITS ? [last] : []];
    return paths.flatMap((each) => [each, ...decoded(each)]);
  });
}

function passwordOf(userInfo: string): string[] {
  const colon = userInfo.indexOf(":");
  if (colon >= 0) return [userInfo.slice(colon + 1)];
  return userInfo.length >= MIN_TOKEN_UNITS ? [userInfo] : [];
}

function unquoted(text: string): string {
  const inner = text.slice(1, -1);
  if (/^".*"$/s.test(text)) return inner.replaceAll('""', '"');
  if (/^'.*'$/s.test(text)) return inner.replaceAll("''", "'").replaceAll(/\\(.)/g, "$1");
  return /^\{.*\}$/s.test(text) ? inner : text;
}

/** What somebody has escaped, and as programs escape it that print the whole again. */
function decoded(text: string): string[] {
  if (!text.includes("%")) return [];
  try {
    const plain = decodeURIComponent(text);
    return [plain, encodeURIComponent(plain)];
  } catch {
    return [];
  }
}
