import { resolve } from "@std/path";
import { NAME } from "../system/paths.ts";
import { CONFIG_KEYS, CONFIG_SEARCH_PATH } from "../config/mod.ts";
import { clientTrusting } from "../control_plane/connect.ts";
import { UserError } from "../system/user_error.ts";
import { type Check, fail, failureOf, type Finding, ok, warn } from "./check.ts";
import type { CheckContext } from "./check_context.ts";

/** The configuration, the control plane's address, whom to trust there, and the identity. */
export function configChecks(context: CheckContext): Check[] {
  return [
    { name: "config", run: () => checkConfig(context) },
    { name: "api_url", needs: ["config"], run: () => checkApiUrl(context) },
    { name: "CA file", needs: ["config"], run: () => checkCaFile(context) },
    { name: "identity", needs: ["config"], run: () => checkIdentity(context) },
  ];
}

async function checkConfig({ loaded }: CheckContext): Promise<Finding> {
  let found;
  try {
    found = await loaded();
  } catch (error) {
    const finding = failureOf(error);
    if (!(error instanceof UserError) || !isAboutValues(error.message)) return finding;
    return fail(error.message, `${NAME} config set <key> <value>`);
  }
  const { path, exists, unknownKeys, duplicateKeys, sources, passedOver } = found;
  if (passedOver.length > 0) {
    const used = exists ? `${path} is used` : "there is no other";
    return warn([used, ...passedOver].join("\n"), "name yours with --config FILE");
  }
  const set = Object.values(sources).filter((source) => source !== "default").length;
  if (!exists) {
    const names = set === 0 ? "nothing is set" : `${set} values come from the environment`;
    return warn(
      `there is no ${path}; ${names}`,
      `create one: ${CONFIG_SEARCH_PATH.at(-1)}, or name yours in NODERAX_CONFIG_FILE`,
    );
  }
  if (duplicateKeys.length > 0) {
    const fix = `leave one of each in ${path}; the last one counts`;
    return warn(`${path}, which has keys more than once: ${duplicateKeys.join(", ")}`, fix);
  }
  if (unknownKeys.length > 0) {
    const fix = "correct or remove them; `noderax-agent config show` lists the keys";
    return warn(`${path}, which has unknown keys: ${unknownKeys.join(", ")}`, fix);
  }
  return ok(`${path}, ${set} of ${CONFIG_KEYS.length} keys set`);
}

/** Each sentence about a value begins with its key. */
function isAboutValues(sentences: string): boolean {
  return CONFIG_KEYS.some(({ key }) => sentences.startsWith(`${key} is `));
}

async function checkApiUrl({ loaded }: CheckContext): Promise<Finding> {
  const { config: { apiUrl } } = await loaded();
  if (!apiUrl) return fail("not set", `${NAME} config set api_url https://noderax.example.com`);
  const { protocol, hostname } = new URL(apiUrl);
  if (protocol === "https:" || isLoopback(hostname)) return ok(apiUrl);
  return warn(
    `${apiUrl}: http shows the credentials to everybody on the way`,
    `serve the control plane by https, and ${NAME} config set api_url ` +
      apiUrl.replace(/^http:/, "https:"),
  );
}

function isLoopback(hostname: string): boolean {
  return /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

async function checkCaFile({ loaded }: CheckContext): Promise<Finding> {
  const { config: { apiTlsCaFile } } = await loaded();
  if (!apiTlsCaFile) return ok("api_tls_ca_file is not set: the usual authorities are trusted");
  // What it throws is the agent's own sentence.
  (await clientTrusting(apiTlsCaFile)).close();
  return ok(`${resolve(apiTlsCaFile)} is trusted too`);
}

async function checkIdentity({ loaded, identity }: CheckContext): Promise<Finding> {
  const { config } = await loaded();
  const stateFile = resolve(config.stateFile);
  const known = await identity();
  if (known) {
    const place = config.nodeId && config.agentToken ? "the configuration" : stateFile;
    return ok(`node ${known.nodeId}, from ${place}`);
  }
  if (config.enrollmentToken) {
    return warn(
      "the enrollment is not finished: it is awaiting approval",
      `approve this machine in the Noderax web app, then ${NAME} enroll`,
    );
  }
  return fail(`not enrolled: there is no ${stateFile}`, `${NAME} enroll`);
}
