/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { byId, inBytes, make } from "./dom.ts";
import type { Sample } from "./messages.ts";

/** The drawing grows with the samples from one minute to five. */
const FIRST_WINDOW_MS = 60_000;
const WINDOW_MS = 5 * 60_000;
/** The drawing's own units; it is stretched to the card. */
const WIDTH = 300;
const HEIGHT = 60;

/** A point in time with a value; undefined breaks the line. */
type Point = [at: number, value: number | undefined];

/** What one card shows. */
interface Chart {
  title: string;
  /** The lines, the first one filled. */
  lines: ((samples: readonly Sample[]) => Point[])[];
  /** The value at the top of the drawing. */
  top: (values: number[]) => number;
  value: (last: Sample, values: (number | undefined)[]) => string;
  note: (last: Sample, values: (number | undefined)[]) => string;
}

const percent = (name: "cpu" | "memory" | "disk") => (samples: readonly Sample[]) =>
  samples.map((sample): Point => [sample.at, sample[name]]);
const rate = (name: "received" | "sent") => (samples: readonly Sample[]) =>
  samples.slice(1).map((sample, index): Point => {
    const before = samples[index];
    const bytes = (sample[name] ?? NaN) - (before?.[name] ?? NaN);
    const seconds = (sample.at - (before?.at ?? 0)) / 1000;
    // A counter that went back was set to zero: the machine or the interface is new.
    return [sample.at, bytes >= 0 && seconds > 0 ? bytes / seconds : undefined];
  });
const ofTotal = (used: number | undefined, total: number | undefined) =>
  used === undefined || total === undefined ? "" : `${inBytes(used)} of ${inBytes(total)}`;
const inPercent = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
const perSecond = (value: number | undefined) => value === undefined ? "–" : `${inBytes(value)}/s`;

const CHARTS: Chart[] = [
  {
    title: "CPU",
    lines: [percent("cpu")],
    top: () => 100,
    value: ({ cpu }) => inPercent(cpu),
    note: ({ temperature }) => temperature === undefined ? "all cores" : `${temperature} °C`,
  },
  {
    title: "Memory",
    lines: [percent("memory")],
    top: () => 100,
    value: ({ memory }) => inPercent(memory),
    note: ({ memoryUsed, memoryTotal }) => ofTotal(memoryUsed, memoryTotal),
  },
  {
    title: "Disk",
    lines: [percent("disk")],
    top: () => 100,
    value: ({ disk }) => inPercent(disk),
    note: ({ diskUsed, diskTotal }) => ofTotal(diskUsed, diskTotal),
  },
  {
    title: "Network",
    lines: [rate("received"), rate("sent")],
    top: (values) => Math.max(1024, ...values) * 1.1,
    value: (_, [received]) => `↓ ${perSecond(received)}`,
    note: (_, [, sent]) => `↑ ${perSecond(sent)}`,
  },
];

/** A chart in the page. */
interface Card {
  chart: Chart;
  value: HTMLElement;
  note: HTMLElement;
  svg: SVGElement;
}

/** The cards with the latest telemetry, each with a drawing of the last minutes. */
export class Charts {
  #samples: Sample[] = [];
  readonly #cards = CHARTS.map((chart): Card => {
    const value = make("strong", {}, "–");
    const note = make("span", {}, "no snapshot yet");
    const svg = vector("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" });
    svg.setAttribute("role", "img");
    const caption = make("figcaption", {}, make("h2", {}, chart.title), value, note);
    byId("charts", HTMLElement).append(make("figure", {}, caption, svg));
    return { chart, value, note, svg };
  });

  /** Forgets all samples. */
  clear(): void {
    this.#samples = [];
  }

  /** Takes new samples and draws. */
  add(samples: readonly Sample[]): void {
    this.#samples.push(...samples);
    const last = this.#samples.at(-1);
    if (!last) return;
    // One more than the window holds, so that lines begin at its edge.
    const start = this.#samples.findIndex(({ at }) => at > last.at - WINDOW_MS);
    this.#samples.splice(0, Math.max(0, start - 1));
    for (const card of this.#cards) this.#draw(card, last);
  }

  #draw({ chart, value, note, svg }: Card, last: Sample): void {
    const lines = chart.lines.map((line) => line(this.#samples));
    const values = lines.map((line) => line.at(-1)?.[1]);
    const all = lines.flat().flatMap(([, it]) => it ?? []);
    const top = chart.top(all);
    value.textContent = chart.value(last, values);
    note.textContent = chart.note(last, values);
    const spanMs = last.at - (this.#samples[0]?.at ?? last.at);
    const windowMs = Math.min(WINDOW_MS, Math.max(FIRST_WINDOW_MS, spanMs));
    const x = (at: number) => WIDTH * (1 - (last.at - at) / windowMs);
    const y = (it: number) => HEIGHT - 1 - (HEIGHT - 2) * it / top;
    const drawn = lines.flatMap((line, index) => {
      const points = line.flatMap(([at, it]) =>
        it === undefined ? [] : [`${x(at).toFixed(1)},${y(it).toFixed(1)}`]
      );
      const stroke = vector("polyline", { points: points.join(" "), class: `line line-${index}` });
      if (index > 0 || points.length === 0) return [stroke];
      const first = x(line.find(([, it]) => it !== undefined)?.[0] ?? last.at);
      const area = `${first.toFixed(1)},${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}`;
      return [vector("polygon", { points: area, class: "area" }), stroke];
    });
    const grid = [0.25, 0.5, 0.75].map((part) =>
      vector("line", { x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part, class: "grid" })
    );
    svg.replaceChildren(...grid, ...drawn);
    svg.setAttribute(
      "aria-label",
      `${chart.title}: ${value.textContent} ${note.textContent}, ${all.length} values`,
    );
  }
}

function vector(name: string, attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  if (!(element instanceof SVGElement)) throw new Error(`${name} is not SVG`);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, `${value}`);
  return element;
}
