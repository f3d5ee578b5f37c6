import { METRICS } from "../src/health/metrics.ts";

const FIRST = "<!-- metrics: `deno task generate` writes this table from src/health/metrics.ts -->";
const LAST = "<!-- end of metrics -->";

/** docs/operations.md as it is, with its table of metrics made anew. */
export async function operationsPage(): Promise<string> {
  const page = await Deno.readTextFile("docs/operations.md");
  const [before = "", rest = ""] = page.split(FIRST);
  const [, after = ""] = rest.split(LAST);
  const rows = METRICS.map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |`);
  const table = ["| Metric | Type | What it is |", "| --- | --- | --- |", ...rows].join("\n");
  return `${before}${FIRST}\n\n${table}\n\n${LAST}${after}`;
}
