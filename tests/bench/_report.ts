import { type FloorName, FLOORS, type Line, type LineName, LINES, type Unit } from "./_lines.ts";

/** One figure of the table. */
interface Figure {
  name: LineName;
  /** Of which start it is, where there are several. */
  variant: string;
  value: number;
}

/** Collects the figures of a run, and shows them: while it goes on as they come, at the end as a table or JSON. */
export class Report {
  readonly #figures: Figure[] = [];
  readonly #floors = new Map<FloorName, number>();
  readonly #besides: { what: string; value: number; unit: Unit }[] = [];
  /** Shows progress. */
  readonly tell: (line: string) => void;

  /** Nothing is measured yet. */
  constructor(tell: (line: string) => void) {
    this.tell = tell;
  }

  /** Takes a figure of a line of the table. */
  line(name: LineName, value: number, variant = ""): void {
    this.#figures.push({ name, variant, value });
    this.tell(`  ${title(LINES[name], variant)}: ${figure(value, LINES[name].unit)}`);
  }

  /** Takes a floor. */
  floor(name: FloorName, value: number): void {
    this.#floors.set(name, value);
    this.tell(`  floor, ${FLOORS[name].what}: ${figure(value, FLOORS[name].unit)}`);
  }

  /** Takes a figure that the table does not have. */
  beside(what: string, value: number, unit: Unit): void {
    this.#besides.push({ what, value, unit });
    this.tell(`  ${what}: ${figure(value, unit)}`);
  }

  /** The table, the floors and what was measured besides, for people. */
  text(): string {
    const rows = this.#rows().map((row) => [
      row.line,
      figure(row.value, row.unit),
      `${row.more ? ">=" : "<="} ${figure(row.aim, row.unit)}`,
      row.go === undefined ? "" : figure(row.go, row.unit),
      row.met ? "yes" : "no",
      row.ratio === undefined ? "" : `${row.ratio} of "${row.floor}"`,
    ]);
    const table = [["", "measured", "aim", "Go", "met", "against the floor"], ...rows];
    const widths = table[0]?.map((_, at) => Math.max(...table.map((row) => row[at]?.length ?? 0)));
    const lines = table.map((row) =>
      row.map((cell, at) =>
        at === 0 || at > 3 ? cell.padEnd(widths?.[at] ?? 0) : cell.padStart(widths?.[at] ?? 0)
      ).join("  ").trimEnd()
    );
    const floors = [...this.#floors].map(([name, value]) =>
      `${name} (${FLOORS[name].what}): ${figure(value, FLOORS[name].unit)}`
    );
    const besides = this.#besides.map(({ what, value, unit }) => `${what}: ${figure(value, unit)}`);
    return [...lines, "", "Floors", ...floors, "", "Besides", ...besides].join("\n");
  }

  /** The same for programs. */
  json(facts: Record<string, unknown>): string {
    const floors = Object.fromEntries(
      [...this.#floors].map(([name, value]) => [name, { ...FLOORS[name], value: round(value) }]),
    );
    const besides = this.#besides.map((each) => ({ ...each, value: round(each.value) }));
    return JSON.stringify({ ...facts, lines: this.#rows(), floors, besides }, null, 2);
  }

  #rows() {
    const order: string[] = Object.keys(LINES);
    const sorted = this.#figures.toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
    return sorted.map(({ name, variant, value }) => {
      const line: Line = LINES[name];
      const floor = line.floor && this.#floors.get(line.floor);
      return {
        line: title(line, variant),
        value: round(value),
        unit: line.unit,
        aim: line.aim,
        more: line.more ?? false,
        go: line.go,
        met: line.more ? value >= line.aim : value <= line.aim,
        floor: line.floor,
        ratio: floor ? Number((value / floor).toFixed(2)) : undefined,
      };
    });
  }
}

function title({ what }: Line, variant: string): string {
  return variant === "" ? what : `${what}, ${variant}`;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}

function figure(value: number, unit: Unit): string {
  const text = value >= 1_000 ? value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, " ") : round(value);
  return `${text} ${unit}`;
}
