import assert from "node:assert/strict";

const PAGE = new URL("../../docs/install.md", import.meta.url);

/** An installation as it is printed, without what is one machine's own. */
export function installation(text: string): string | undefined {
  return /^Noderax agent [^]*?^Done\..*$/m.exec(text.replaceAll("\r", ""))?.[0]
    .replace(/https?:\/\/\S+/g, "ADDRESS")
    .replace(/\b([\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}|[\da-f]{64})\b/g, "ID")
    .replace(/approve \S+ in/, "approve HOST in")
    .replace(/\b\d+\.\d+\.\d+\b/g, "VERSION")
    .replace(/systemd \d+, \d+ MB/, "systemd N, N MB");
}

/** What docs/install.md shows behind this command is what the agent prints. */
export async function assertShown(command: string, printed: string): Promise<void> {
  const page = await Deno.readTextFile(PAGE);
  const at = page.indexOf(`\n# ${command}`);
  assert(at > 0, `docs/install.md has no "# ${command}"`);
  const expected = installation(page.slice(at));
  assert(expected, "it shows no installation");
  assert.equal(installation(printed), expected);
}
