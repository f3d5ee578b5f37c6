import { cliPage } from "./_cli_page.ts";
import { configPage, exampleConfig } from "./_config_page.ts";
import { operationsPage } from "./_operations_page.ts";

/** What is written from the tables in the code, by its path in the checkout. */
export const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  "config.example.json": exampleConfig,
  "docs/configuration.md": configPage,
  "docs/cli.md": cliPage,
  "docs/operations.md": operationsPage,
};

/** Their content as the formatter leaves it. */
export async function renderPages(): Promise<Record<string, string>> {
  const rendered = Object.entries(PAGES).map(async ([path, render]) => [
    path,
    await formatted(await render(), path.split(".").at(-1) ?? ""),
  ]);
  return Object.fromEntries(await Promise.all(rendered));
}

/** A sentence for each page that is not what the code makes of it now. */
export async function whatIsStale(): Promise<string[]> {
  const sentences: string[] = [];
  for (const [path, text] of Object.entries(await renderPages())) {
    const written = await Deno.readTextFile(path).catch(() => "");
    if (written === text) continue;
    sentences.push(`${path} is out of date: run \`deno task generate\` and commit it.`);
  }
  return sentences;
}

async function formatted(text: string, extension: string): Promise<string> {
  const formatter = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--config", "deno.json", "--ext", extension, "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = formatter.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { success, stdout } = await formatter.output();
  if (!success) throw new Error("deno fmt has failed");
  return new TextDecoder().decode(stdout);
}
