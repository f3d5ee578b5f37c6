import { join } from "@std/path";
import { stripTypeScriptTypes } from "node:module";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import fit from "@xterm/addon-fit/lib/addon-fit.mjs" with { type: "text" };
import links from "@xterm/addon-web-links/lib/addon-web-links.mjs" with { type: "text" };
import xtermCss from "@xterm/xterm/css/xterm.css" with { type: "text" };
import xterm from "@xterm/xterm/lib/xterm.mjs" with { type: "text" };
import uplotCss from "uplot/dist/uPlot.min.css" with { type: "text" };
import uplot from "uplot/dist/uPlot.iife.min.js" with { type: "text" };

const TYPES = { html: "text/html", css: "text/css", ts: "text/javascript", mjs: "text/javascript" };
/** Comments on lines of their own. */
const COMMENT = /^ *(?:\/\*\*?[\s\S]*?\*\/|\/\/.*)\n/gm;
const VENDOR: Record<string, string> = {
  "xterm.css": xtermCss,
  "xterm.mjs": xterm,
  "fit.mjs": fit,
  "links.mjs": links,
  "uplot.css": uplotCss,
  // The module that the package has is three times as large.
  "uplot.mjs": `${uplot}\nexport default uPlot;\n`,
};
const HEADERS = {
  "content-encoding": "gzip",
  "content-security-policy": "frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** The style sheets travel together: the page is not shown before all are there. */
const STYLES = ["page.css", "panels.css", "log.css"];

const gzipped = promisify(gzip);
const compressed = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();

/** A file of the page. Its own are read anew each time: a change needs no more than a reload. */
export async function pageFile(pathname: string): Promise<Response> {
  const name = pathname === "/" ? "index.html" : pathname.slice(1);
  const [, extension] = /^[a-z_]+\.(html|css|ts|mjs)$/.exec(name) ?? [];
  const type = Object.entries(TYPES).find(([known]) => known === extension)?.[1];
  if (!type) return notFound();
  const headers = { ...HEADERS, "content-type": `${type}; charset=utf-8` };
  const vendor = VENDOR[name];
  if (vendor !== undefined) {
    const body = compressed.get(name) ?? compress(vendor);
    compressed.set(name, body);
    // Another version has another program around it, and that is loaded anew.
    return new Response(await body, { headers: { ...headers, "cache-control": "max-age=3600" } });
  }
  try {
    const texts = await Promise.all((name === "styles.css" ? STYLES : [name]).map(read));
    const text = texts.join("");
    const body = await compress(
      extension === "ts" ? stripTypeScriptTypes(text).replaceAll(COMMENT, "") : text,
    );
    return new Response(body, { headers: { ...headers, "cache-control": "no-store" } });
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    return notFound();
  }
}

function read(name: string): Promise<string> {
  return Deno.readTextFile(join(import.meta.dirname ?? ".", "page", name));
}

async function compress(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await gzipped(text, { level: 9 }));
}

function notFound(): Response {
  return new Response("There is no such file.\n", { status: 404 });
}
