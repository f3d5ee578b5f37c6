import * as z from "@zod/zod";

const Environment = z.looseObject({ environment: z.record(z.string(), z.unknown()) });

/** Wherever they stand in a word: `PGPASSWORD`, `TOKENVALUE`; but not SECRETARY. */
const PARTS = "TOKEN(?!IZ)|SECRET(?!AR(?:Y|IES)$)|PASSWORD(?!LESS)|PASSWD|PASSPHRASE|PASSCODE|" +
  "CREDENTIAL|AUTHORIZATION";
/** Words that another one may begin: `MASTERKEY`, `DBPASS`. */
const ENDS = "KEY|PASS|PWD|CREDS|COOKIE|JWT";
/** Words that mean a secret only by themselves: AUTHOR and SACRED are none. */
const WHOLE = "CRED|PAT|O?AUTH|PRIVATE|BEARER|[TH]?OTP";
const SECRET_WORD = new RegExp(`${PARTS}|(?:${ENDS}|^(?:${WHOLE}))S?$`);
/** Words that end like a secret. */
const HARMLESS = new RegExp(
  "^(?:(?:DON|HOC|HOT|JOC|LAC|MON|TUR|WHIS)KEYS?" +
    "|(?:ASK|BY|COM|ENCOM|OVER|SUR|TRES|UNDER)PASS|OLDPWD)$",
);

/** What is posted there is believed: the address itself is the secret. */
const WEBHOOK = /web_?hook/i;

/**
 * Whether the name of an environment variable says that its value is a secret: one of its words,
 * parted by anything that is no letter or by camelCase, is such as TOKEN, PASSWORD or KEY.
 */
export function looksSecret(name: string): boolean {
  // The working directory, which shells call so.
  if (name === "PWD") return false;
  const parted = name
    .replaceAll(/([a-z])([A-Z])/g, "$1_$2")
    .replaceAll(/([A-Z])([A-Z][a-z])/g, "$1_$2");
  return parted.toUpperCase().split(/[^A-Z]+/)
    .some((word) => SECRET_WORD.test(word) && !HARMLESS.test(word));
}

/**
 * What no log may show of a payload's `environment`; the payload may be anything. Of a value with a
 * secret name that is all of it, of a webhook's address its path, of others the passwords in them.
 */
export function secretsOf(payload: unknown): string[] {
  const { data } = Environment.safeParse(payload);
  return Object.entries(data?.environment ?? {})
    .filter(([, value]) => typeof value !== "object")
    .flatMap(([name, value]) => {
      const text = String(value);
      return [
        ...looksSecret(name) ? [text] : [],
        ...WEBHOOK.test(name) ? secretPathsIn(text) : [],
        ...passwordsIn(text, looksSecret),
      ];
    });
}

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
function passwordsIn(value: string, isSecretName: (name: string) => boolean): string[] {
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
function secretPathsIn(value: string): string[] {
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
