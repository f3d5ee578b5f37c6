import { INSTALLED } from "../system/paths.ts";
import type { ReadEnv } from "../config/mod.ts";

/** What an administrator gives the service, as its unit names it. */
const FILE = `${INSTALLED.configFolder}/environment`;
/** What Deno's network goes by; it reads them from the process. */
const NETWORK = ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"]
  .flatMap((name) => [name, name.toLowerCase()]).concat("DENO_TLS_CA_STORE");

/** The environment that the service is started with, of which a shell knows nothing. */
export async function serviceEnvironment(
  file: string = FILE,
  config: string = INSTALLED.config,
): Promise<ReadEnv> {
  // It need not be there.
  const text = await Deno.readTextFile(file).catch(() => "");
  const values = new Map([["NODERAX_CONFIG_FILE", config]]);
  for (const line of text.split("\n")) {
    const [, name, value = ""] = /^\s*([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name) values.set(name, value.replace(/^(["'])(.*)\1$/, "$2"));
  }
  return (name) => values.get(name);
}

/** Has the network of this process go the way that `env` says until it is disposed of. */
export function networkAs(env: ReadEnv): Disposable {
  const own = new Map(NETWORK.map((name) => [name, Deno.env.get(name)]));
  setAll(env);
  return { [Symbol.dispose]: () => setAll((name) => own.get(name)) };
}

function setAll(env: ReadEnv): void {
  for (const name of NETWORK) {
    const value = env(name);
    if (value === undefined) Deno.env.delete(name);
    else Deno.env.set(name, value);
  }
}
