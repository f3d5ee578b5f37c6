import type { Span, Style } from "./ansi.ts";
import { make } from "./dom.ts";

const URL = /\bhttps?:\/\/[^\s"'<>`]+[^\s"'<>`.,;:!?)\]}]/g;

/** The text of a line with its colours, links, and what is searched for. */
export function renderLine(spans: readonly Span[], query: string): HTMLElement {
  const element = make("span", { className: "text" });
  for (const { text, style } of spans) {
    const content = withLinks(text);
    element.append(...isPlain(style) ? content : [styled(style, content)]);
  }
  if (query) markAll(element, query.toLowerCase());
  return element;
}

const isPlain = ({ fg, bg, marks }: Style) => fg === "" && bg === "" && marks === "";

function styled({ fg, bg, marks }: Style, content: (Node | string)[]): HTMLElement {
  const element = make("span", { className: marks }, ...content);
  if (fg) element.style.color = color(fg);
  if (!bg) return element;
  element.style.background = color(bg);
  // The theme's colours are made to be read on the page; black on them is the page's own.
  if (fg === "" || fg === "0") element.style.color = "var(--card)";
  return element;
}

const color = (name: string) => name.startsWith("rgb") ? name : `var(--ansi-${name})`;

function withLinks(text: string): (Node | string)[] {
  if (!text.includes("://")) return [text];
  const parts: (Node | string)[] = [];
  let from = 0;
  for (const { 0: url, index } of text.matchAll(URL)) {
    parts.push(text.slice(from, index));
    parts.push(make("a", { href: url, target: "_blank", rel: "noreferrer", tabIndex: -1 }, url));
    from = index + url.length;
  }
  return [...parts, text.slice(from)];
}

/** Marks what is found, also where it goes over several spans. */
function markAll(element: HTMLElement, query: string): void {
  const whole = (element.textContent ?? "").toLowerCase();
  const nodes: Text[] = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (walker.currentNode instanceof Text) nodes.push(walker.currentNode);
  const hits: [number, number][] = [];
  for (let at = whole.indexOf(query); at >= 0; at = whole.indexOf(query, at + query.length)) {
    hits.push([at, at + query.length]);
  }
  let start = 0;
  for (const node of nodes) {
    const { length } = node;
    const own = hits.map(([from, to]) =>
      [
        Math.max(0, from - start),
        Math.min(length, to - start),
      ] as const
    ).filter(([from, to]) => from < to);
    start += length;
    if (own.length === 0) continue;
    const text = node.data;
    let at = 0;
    const parts: (Node | string)[] = [];
    for (const [from, to] of own) {
      parts.push(text.slice(at, from), make("mark", {}, text.slice(from, to)));
      at = to;
    }
    node.replaceWith(...parts, text.slice(at));
  }
}
