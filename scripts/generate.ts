/**
 * Writes the pages that are made from the tables in the code: `deno task generate`.
 *
 * @module
 */
import { renderPages } from "./_pages.ts";

for (const [path, text] of Object.entries(await renderPages())) {
  await Deno.writeTextFile(path, text);
}
