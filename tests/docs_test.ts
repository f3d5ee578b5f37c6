import assert from "node:assert/strict";
import { dirname, join, normalize } from "@std/path";
import { whatIsStale } from "../scripts/_pages.ts";
import { outputOf } from "./_processes.ts";

const ROOT = join(import.meta.dirname ?? "", "..");

/** The names of the checkout's files. */
async function filesOf(): Promise<string[]> {
  const args = ["-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"];
  return (await outputOf("git", "-C", ROOT, ...args)).trim().split("\n");
}

/** The Markdown of the checkout, by path. */
async function markdown(): Promise<Map<string, string>> {
  const names = (await filesOf()).filter((name) => name.endsWith(".md"));
  return new Map(
    await Promise.all(names.map(async (name): Promise<[string, string]> => {
      return [name, await Deno.readTextFile(join(ROOT, name))];
    })),
  );
}

/** The text without what stands in blocks of code. */
function prose(text: string): string {
  return text.replace(/^( *)(`{3,})[^]*?^\1\2$/gm, "");
}

/** The anchors of a page, as the forge makes them of its headings. */
function anchors(text: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading = ""] of prose(text).matchAll(/^#+ (.+)$/gm)) {
    const plain = heading.replace(/\[(.*?)\]\(.*?\)/g, "$1").toLowerCase();
    const anchor = plain.replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-");
    let name = anchor;
    for (let again = 1; found.has(name); again++) name = `${anchor}-${again}`;
    found.add(name);
  }
  return found;
}

Deno.test("the pages that are made from the code are up to date", async () => {
  assert.deepEqual(await whatIsStale(), []);
});

Deno.test("every link of the documentation leads to a file and a heading that are there", async () => {
  const pages = await markdown();
  assert(pages.size > 5);
  const files = await filesOf();
  const broken: string[] = [];
  for (const [page, text] of pages) {
    for (const [link, , target = ""] of prose(text).matchAll(/(\]\(|\]: )([^)\s]+)/g)) {
      if (/^(https?|mailto):/.test(target)) continue;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : normalize(join(dirname(page), path));
      const isThere = files.some((name) => name === file || name.startsWith(`${file}/`));
      const hasAnchor = anchor === undefined || anchors(pages.get(file) ?? "").has(anchor);
      if (!isThere || !hasAnchor) broken.push(`${page}: ${link})`);
    }
  }
  assert.deepEqual(broken, []);
});

Deno.test("every file that the documentation names is there", async () => {
  const files = await filesOf();
  const missing: string[] = [];
  for (const [page, text] of await markdown()) {
    // The changelog tells of what was.
    if (page === "CHANGELOG.md") continue;
    for (
      const [, path = ""] of prose(text).matchAll(/`((?:src|scripts|tests|docs)\/[\w./-]+\w)\/?`/g)
    ) {
      const isThere = files.some((name) => name === path || name.startsWith(`${path}/`));
      if (!isThere) missing.push(`${page}: ${path}`);
    }
  }
  assert.deepEqual(missing, []);
});
