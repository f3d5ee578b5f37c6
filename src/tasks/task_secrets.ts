import * as z from "@zod/zod";
import { passwordsIn, secretPathsIn } from "./value_secrets.ts";

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
