/** What is drawn: how many agents came back in each second. */
export interface Plot {
  /** Stands above. */
  title: string;
  /** How many there are. */
  agents: number;
  /** Without a spread. */
  before: number[];
  /** With the one that agents have. */
  after: number[];
}

const [WIDTH, HEIGHT] = [720, 300];
const [LEFT, TOP, RIGHT, BOTTOM] = [52, 56, 12, 40];
const [INNER_WIDTH, INNER_HEIGHT] = [WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM];
/** What no second may exceed, and what is shown, in per cent. */
const LIMIT = 10;
const SHOWN = 20;
const STYLE = `
text { font: 12px system-ui, sans-serif; fill: #24292f } .grid { stroke: #d0d7de }
.before { fill: #cf222e } .after { fill: #0969da } .limit { stroke: #1a7f37; stroke-dasharray: 5 4 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .grid { stroke: #3d444d } .before { fill: #f85149 } .after { fill: #58a6ff }
  .limit { stroke: #3fb950 }
}`;

/** Draws it as SVG, for a light page and a dark one. */
export function plot({ title, agents, before, after }: Plot): string {
  const seconds = Math.max(before.length, after.length);
  const slot = INNER_WIDTH / seconds;
  const y = (percent: number) => TOP + INNER_HEIGHT * (1 - Math.min(percent, SHOWN) / SHOWN);
  const bars = (kind: string, counts: number[], at: number) =>
    counts.flatMap((count, second) => {
      if (count === 0) return [];
      const percent = count / agents * 100;
      const x = LEFT + second * slot + at * slot * 0.45;
      const bar = `<rect class="${kind}" x="${x.toFixed(1)}" y="${y(percent).toFixed(1)}" ` +
        `width="${(slot * 0.42).toFixed(1)}" height="${(y(0) - y(percent)).toFixed(1)}"/>`;
      // Whatever is cut off is told.
      const cut = percent > SHOWN
        ? [`<text x="${(x + slot / 2).toFixed(1)}" y="${TOP + 12}">${percent.toFixed(0)} %</text>`]
        : [];
      return [bar, ...cut];
    });
  const lines = [0, 5, 10, 15, 20].flatMap((percent) => [
    `<path class="${percent === LIMIT ? "limit" : "grid"}" d="M${LEFT} ${y(percent)}H${
      WIDTH - RIGHT
    }"/>`,
    `<text x="${LEFT - 8}" y="${y(percent) + 4}" text-anchor="end">${percent} %</text>`,
  ]);
  const times = Array.from({ length: Math.floor(seconds / 5) + 1 }, (_, i) => {
    const x = (LEFT + i * 5 * slot).toFixed(1);
    return `<text x="${x}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${i * 5} s</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">`,
    `<title>${title}</title><style>${STYLE}</style>`,
    `<text x="${LEFT}" y="18">${title}: sessions in each second</text>`,
    `<rect class="before" x="${LEFT}" y="28" width="10" height="10"/>`,
    `<text x="${LEFT + 16}" y="38">reconnect_spread 0s</text>`,
    `<rect class="after" x="${LEFT + 180}" y="28" width="10" height="10"/>`,
    `<text x="${LEFT + 196}" y="38">reconnect_spread 20s, as agents have it</text>`,
    ...lines,
    ...times,
    ...bars("before", before, 0),
    ...bars("after", after, 1),
    `</svg>`,
    "",
  ].join("\n");
}
