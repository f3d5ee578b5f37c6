import { z } from "@zod/zod";

const Environment = z.looseObject({ environment: z.record(z.string(), z.unknown()) });

/** Words that may end in another one: `PGPASSWORD`, `AUTHTOKEN`. */
const ENDS = "TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL";
/** Words that mean a secret only by themselves: MONKEY and AUTHOR are none. */
const WHOLE = "(?:API|ACCESS|AUTH|SECRET|PRIVATE|SSH)?KEY|(?:SSH)?PASS|PWD|PAT|O?AUTH|PRIVATE";
const SECRET_WORD = new RegExp(`^(?:.*(?:${ENDS})|${WHOLE})S?$`);

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
  return parted.toUpperCase().split(/[^A-Z]+/).some((word) => SECRET_WORD.test(word));
}

/** The values of a payload's `environment` that no log may show; the payload may be anything. */
export function secretsOf(payload: unknown): string[] {
  const { data } = Environment.safeParse(payload);
  return Object.entries(data?.environment ?? {})
    .filter(([name, value]) => looksSecret(name) && typeof value !== "object")
    .map(([, value]) => String(value));
}
