/**
 * Writes the pages that are made from the tables in the code: `deno task generate`. With `--check`
 * it writes nothing, and fails if one of them is out of date.
 *
 * @module
 */
import { renderPages, whatIsStale } from "./_pages.ts";

if (Deno.args.includes("--check")) {
  const stale = await whatIsStale();
  // deno-lint-ignore no-console
  stale.forEach((sentence) => console.error(sentence));
  Deno.exit(stale.length > 0 ? 1 : 0);
}
for (const [path, text] of Object.entries(await renderPages())) {
  await Deno.writeTextFile(path, text);
}
