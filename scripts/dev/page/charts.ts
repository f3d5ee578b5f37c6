import uPlot from "uplot";
import { byId, inBytes, make } from "./dom.ts";
import type { Sample } from "./messages.ts";

const KEPT_MS = 60 * 60_000;
/** Samples further apart than so many usual steps have a gap between them. */
const GAP_STEPS = 3;
const HEIGHT = 104;
const NARROW_HEIGHT = 100;
const ALL = "all";

type Series = (number | null)[];

/** What one chart shows. */
interface Chart {
  title: string;
  /** The names of its lines, as the legend has them. */
  lines: string[];
  isBytes?: true;
  series: (samples: readonly Sample[], network: string) => Series[];
  value: (last: Sample, values: (number | null | undefined)[]) => string;
  note: (last: Sample) => string;
}

const percent = (name: "cpu" | "memory" | "disk") => (samples: readonly Sample[]) => [
  samples.map((sample) => sample[name]),
];
const inPercent = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
const perSecond = (value: number | null | undefined) =>
  value === undefined || value === null ? "–" : `${inBytes(value)}/s`;
const ofTotal = (used: number | undefined, total: number | undefined) =>
  used === undefined || total === undefined ? "" : `${inBytes(used)} of ${inBytes(total)}`;

const CHARTS: Chart[] = [
  {
    title: "CPU",
    lines: ["busy"],
    series: percent("cpu"),
    value: ({ cpu }) => inPercent(cpu),
    note: () => "all cores",
  },
  {
    title: "Memory",
    lines: ["used"],
    series: percent("memory"),
    value: ({ memory }) => inPercent(memory),
    note: ({ memoryUsed, memoryTotal }) => ofTotal(memoryUsed, memoryTotal),
  },
  {
    title: "Disk",
    lines: ["used"],
    series: percent("disk"),
    value: ({ disk }) => inPercent(disk),
    note: ({ diskUsed, diskTotal }) => ofTotal(diskUsed, diskTotal),
  },
  {
    title: "Network",
    lines: ["down", "up"],
    isBytes: true,
    series: (samples, network) => [rates(samples, network, 1), rates(samples, network, 2)],
    value: (_, [down, up]) => `↓ ${perSecond(down)} ↑ ${perSecond(up)}`,
    note: () => "",
  },
];
const TEMPERATURE: Chart = {
  title: "Temperature",
  lines: ["°C"],
  series: (samples) => [samples.map(({ temperature }) => temperature ?? null)],
  value: ({ temperature }) => temperature === undefined ? "–" : `${temperature} °C`,
  note: () => "",
};

/** A chart in the page. */
class Card {
  readonly #chart: Chart;
  readonly #value = make("strong", {}, "–");
  readonly #note = make("span", {}, "no snapshot yet");
  readonly #drawing = make("div", { className: "drawing" });
  readonly element: HTMLElement;
  #plot: uPlot;

  constructor(chart: Chart, parent: HTMLElement) {
    this.#chart = chart;
    this.#drawing.role = "img";
    const caption = make("figcaption", {}, make("h3", {}, chart.title), this.#value, this.#note);
    this.element = make("figure", {}, caption, this.#drawing);
    parent.append(this.element);
    this.#plot = this.#make();
    new ResizeObserver(() => this.#plot.setSize(this.#size)).observe(this.#drawing);
  }

  /** Draws the samples from `from` on. */
  draw(samples: readonly Sample[], { from, network }: { from: number; network: string }): void {
    const last = samples.at(-1);
    if (!last) return;
    const series = this.#chart.series(samples, network);
    const start = Math.max(0, samples.findIndex(({ at }) => at >= from) - 1);
    const times = samples.slice(start).map(({ at }) => at / 1000);
    const shown = series.map((it) => it.slice(start));
    this.#plot.setData(withGaps(times, shown));
    this.#plot.setScale("x", { min: from / 1000, max: last.at / 1000 });
    this.#value.textContent = this.#chart.value(last, series.map((it) => it.at(-1)));
    this.#note.textContent = this.#chart.note(last);
    const count = shown.flat().filter((it) => it !== null).length;
    this.#drawing.ariaLabel =
      `${this.#chart.title}: ${this.#value.textContent} ${this.#note.textContent}, ${count} values`;
  }

  /** Takes the colours of the page. */
  color(): void {
    const { data } = this.#plot;
    this.#plot.destroy();
    this.#plot = this.#make();
    this.#plot.setData(data);
  }

  get #size(): { width: number; height: number } {
    const height = innerWidth < 600 ? NARROW_HEIGHT : HEIGHT;
    return { width: Math.max(100, this.#drawing.clientWidth), height };
  }

  #make(): uPlot {
    const style = getComputedStyle(this.#drawing);
    // A canvas knows no light-dark(): what it comes to is asked of an element.
    const color = (name: string) => {
      this.#drawing.style.color = `var(${name})`;
      return style.color;
    };
    const { lines, isBytes = false } = this.#chart;
    const text = (value: number | null) =>
      value === null ? "–" : isBytes ? perSecond(value) : `${value.toFixed(1)} ${this.#unit}`;
    const axis = {
      stroke: color("--quiet"),
      font: "11px system-ui, sans-serif",
      grid: { stroke: color("--grid"), width: 1 },
      ticks: { show: false },
    };
    const options: uPlot.Options = {
      ...this.#size,
      legend: { live: true },
      cursor: { sync: { key: "charts" }, points: { size: 6 }, drag: { x: false, y: false } },
      padding: [6, 16, 0, 0],
      scales: {
        y: {
          range: (_, __, max) =>
            isBytes ? [0, Math.max(1024, max) * 1.1] : [0, Math.max(100, max ?? 0)],
        },
      },
      series: [
        { value: (_, at) => at === null ? "–" : new Date(at * 1000).toLocaleTimeString() },
        ...lines.map((label, index): uPlot.Series => ({
          label,
          stroke: color(index === 0 ? "--accent" : "--second"),
          width: 1.5,
          points: { show: false },
          ...index === 0 ? { fill: color("--area") } : {},
          value: (_, value) => text(value),
        })),
      ],
      axes: [
        {
          ...axis,
          size: 22,
          gap: 2,
          space: 70,
          values: (_, splits) => splits.map((at) => clock(at * 1000, splits)),
        },
        {
          ...axis,
          size: isBytes ? 62 : 40,
          gap: 4,
          space: 28,
          values: (_, splits) =>
            splits.map((value) => isBytes ? perSecond(value) : `${value}${this.#unit}`),
        },
      ],
    };
    return new uPlot(options, [[], ...lines.map(() => [])], this.#drawing);
  }

  get #unit(): string {
    return this.#chart === TEMPERATURE ? "°" : "%";
  }
}

/** The charts of the latest telemetry. */
export class Charts {
  #samples: Sample[] = [];
  #minutes = 5;
  readonly #parent = byId("charts", HTMLElement);
  readonly #cards = CHARTS.map((chart) => new Card(chart, this.#parent));
  #hasTemperature = false;
  readonly #interface = byId("interface", HTMLSelectElement);

  constructor() {
    const ranges = [...byId("ranges", HTMLElement).querySelectorAll("button")];
    for (const button of ranges) {
      button.addEventListener("click", () => {
        for (const other of ranges) other.ariaPressed = String(other === button);
        this.#minutes = Number(button.dataset.minutes);
        this.#draw();
      });
    }
    this.#interface.addEventListener("change", () => this.#draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const card of this.#cards) card.color();
      this.#draw();
    });
  }

  /** Forgets all samples. */
  clear(): void {
    this.#samples = [];
  }

  /** Takes new samples and draws. */
  add(samples: readonly Sample[]): void {
    this.#samples.push(...samples);
    const last = this.#samples.at(-1);
    if (!last) return;
    const start = this.#samples.findIndex(({ at }) => at > last.at - KEPT_MS);
    this.#samples.splice(0, Math.max(0, start - 1));
    if (!this.#hasTemperature && last.temperature !== undefined) {
      this.#hasTemperature = true;
      this.#cards.push(new Card(TEMPERATURE, this.#parent));
    }
    this.#offer(last.networks.map(([name]) => name));
    this.#draw();
  }

  #offer(names: string[]): void {
    const known = [...this.#interface.options].map(({ value }) => value);
    if (known.join() === [ALL, ...names].join()) return;
    const { value } = this.#interface;
    this.#interface.replaceChildren(
      ...[ALL, ...names].map((name) => make("option", { value: name }, name)),
    );
    this.#interface.value = names.includes(value) ? value : ALL;
    byId("interface-field", HTMLElement).hidden = names.length < 2;
  }

  #draw(): void {
    const last = this.#samples.at(-1);
    const first = this.#samples[0];
    if (!last || !first) return;
    const windowMs = this.#minutes * 60_000;
    // A page that was opened a moment ago begins with a minute: five would be empty.
    const spanMs = Math.max(60_000, last.at - first.at);
    const from = last.at - Math.min(windowMs, spanMs);
    const network = this.#interface.value || ALL;
    for (const card of this.#cards) card.draw(this.#samples, { from, network });
  }
}

/** Bytes a second between neighbours; of one interface, or of all together. */
function rates(samples: readonly Sample[], network: string, column: 1 | 2): Series {
  const total = ({ networks }: Sample) =>
    networks.filter(([name]) => network === ALL || name === network)
      .reduce((sum, counters) => sum + counters[column], 0);
  return samples.map((sample, index) => {
    const before = samples[index - 1];
    if (!before) return null;
    const bytes = total(sample) - total(before);
    const seconds = (sample.at - before.at) / 1000;
    // A counter that went back was set to zero: the machine or the interface is new.
    return bytes >= 0 && seconds > 0 ? bytes / seconds : null;
  });
}

/** Puts an empty value where samples are missing, so that no line goes through there. */
function withGaps(times: number[], series: Series[]): uPlot.AlignedData {
  const steps = times.slice(1).map((at, index) => at - (times[index] ?? at)).toSorted((a, b) =>
    a - b
  );
  const usual = steps[Math.floor(steps.length / 2)] ?? 0;
  const at: number[] = [];
  const values: Series[] = series.map(() => []);
  times.forEach((time, index) => {
    const before = times[index - 1];
    if (before !== undefined && time - before > usual * GAP_STEPS) {
      at.push((time + before) / 2);
      for (const each of values) each.push(null);
    }
    at.push(time);
    series.forEach((each, which) => values[which]?.push(each[index] ?? null));
  });
  return [at, ...values];
}

function clock(at: number, splits: number[]): string {
  const seconds = ((splits[1] ?? 0) - (splits[0] ?? 0)) % 60 !== 0;
  const options = { hour: "2-digit", minute: "2-digit", hour12: false } as const;
  return new Date(at).toLocaleTimeString([], seconds ? { ...options, second: "2-digit" } : options);
}
