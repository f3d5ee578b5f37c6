import { CONFIG_KEYS, CONFIG_SEARCH_PATH, type ConfigKey } from "../src/config/mod.ts";
import { INSTALLED } from "../src/system/paths.ts";
import { writtenFrom } from "./_written_from.ts";

/** docs/configuration.md, made from the table of keys. */
export function configPage(): string {
  const places = ["`--config FILE` or `NODERAX_CONFIG_FILE`", ...CONFIG_SEARCH_PATH.map(code)];
  return `# Configuration

${writtenFrom("src/config/schema.ts")}

\`\`\`sh runnable
noderax-agent config show                         # every value and where it comes from
noderax-agent config set heartbeat_interval 20s   # checks and saves one
\`\`\`

[cli.md](cli.md#noderax-agent-config) has the other commands of \`config\`.

## The file

The configuration is one JSON object. The agent reads the first file that there is:

${places.map((place, at) => `${at + 1}. ${place}`).join("\n")}

- For root ${code(INSTALLED.config)} comes first, and a file that somebody else can write is passed
  over, or refused if it was named: see [security.md](security.md#files).
- An environment variable wins over the file, the file over the default.
- Unknown keys are kept, and named in a warning.
- With \`NODERAX_CONFIG_MIRROR_FILE\` set, what the agent saves is also written to that file.
- Durations are written as \`1h2m3s\` or \`250ms\`, sizes as \`64MiB\`.

The service also reads ${code(`${INSTALLED.configFolder}/environment`)}, a file of \`NAME=value\`
lines. Create it for variables such as \`HTTPS_PROXY\` and \`NO_PROXY\`.

## Changes

A key whose section says "SIGHUP" takes effect when the running agent reads its configuration again
(\`systemctl reload noderax-agent\`). A key that needs a restart keeps its old value until then;
\`noderax-agent status\`, the log and the metric \`noderax_agent_config_keys_pending_restart\` name it.

\`config set\` has the running service read its configuration again. Where the key needs a restart it
asks at a terminal, and says so elsewhere. \`--restart\` restarts without asking; running tasks have
\`shutdown_timeout\` to finish. An identity is replaced only with \`--force\`.

\`config set\` refuses a value that is not allowed. It complains of an address where no control plane
answers, and of a CA file or an account that cannot be used on this machine; it refuses them if the
service would read them, unless \`--force\` is given. The service's \`api_url\` is removed only with
\`--force\`. Both go by the service's environment file, not by the shell's variables.

## Keys

${CONFIG_KEYS.map(section).join("\n")}`;
}

/** config.example.json: every key with its default. */
export function exampleConfig(): string {
  const values = CONFIG_KEYS.map(({ key, fallback = "" }) => [key, fallback]);
  const example = { ...Object.fromEntries(values), api_url: "https://control-plane.example.com" };
  return `${JSON.stringify(example, null, 2)}\n`;
}

function section({ key, doc, fallback, allowed, env, needsRestart, secret }: ConfigKey): string {
  const lines = [
    `- Default: ${fallback === undefined ? "none" : code(String(fallback))}`,
    `- Allowed: ${allowed}`,
    `- Environment: ${env.length > 0 ? env.map(code).join(", ") : "never taken from it"}`,
    `- A change takes effect: ${needsRestart ? "after a restart" : "on SIGHUP"}`,
    ...secret ? ["- Secret: masked wherever it is shown"] : [],
  ];
  return `### ${key}\n\n${doc}\n\n${lines.join("\n")}\n`;
}

function code(text: string): string {
  return `\`${text}\``;
}
