import * as z from "@zod/zod";

const Environment = z.looseObject({ environment: z.record(z.string(), z.unknown()) });

/** Wherever they stand in a word: `PGPASSWORD`, `TOKENVALUE`; but not SECRETARY. */
const PARTS = "TOKEN(?!IZ)|SECRET(?!AR(?:Y|IES)$)|PASSWORD(?!LESS)|PASSWD|PASSPHRASE|PASSCODE|" +
  "CREDENTIAL|AUTHORIZATION";
/** Words that another one may begin: `MASTERKEY`, `DBPASS`. */
const ENDS = "KEY|PASS|PWD|CREDS|COOKIE|JWT";
/** Words that mean a secret only by themselves: AUTHOR and SACRED are none. */
const WHOLE = "CRED|PAT|O?AUTH|PRIVATE|BEARER";
const SECRET_WORD = new RegExp(`${PARTS}|(?:${ENDS}|^(?:${WHOLE}))S?$`);
/** Words that end like a secret. */
const HARMLESS = new RegExp(
  "^(?:(?:DON|HOC|HOT|JOC|LAC|MON|TUR|WHIS)KEYS?" +
    "|(?:ASK|BY|COM|ENCOM|OVER|SUR|TRES|UNDER)PASS|OLDPWD)$",
);

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

/** The values of a payload's `environment` that no log may show; the payload may be anything. */
export function secretsOf(payload: unknown): string[] {
  const { data } = Environment.safeParse(payload);
  return Object.entries(data?.environment ?? {})
    .filter(([name, value]) => looksSecret(name) && typeof value !== "object")
    .map(([, value]) => String(value));
}
