import assert from "node:assert/strict";
import { join } from "@std/path";
import * as z from "@zod/zod";
import { METRICS, renderMetrics } from "../src/health/metrics.ts";
import { STATUS } from "../src/health/_test_status.ts";
import { runTool } from "../src/system/tool.ts";

const ROOT = join(import.meta.dirname ?? "", "..");
const MONITORING = join(ROOT, "docs/monitoring");
const PROMTOOL = (await runTool("sh", "-c", "command -v promtool")).stdout.trim();
const ignore = PROMTOOL === "";
const need = ignore ? " (needs promtool, of Debian's prometheus)" : "";

const Dashboard = z.object({
  panels: z.array(z.object({
    title: z.string(),
    gridPos: z.object({ x: z.int(), y: z.int(), w: z.int(), h: z.int() }),
    targets: z.array(z.object({ expr: z.string() })).min(1),
  })),
});

async function dashboard(): Promise<z.infer<typeof Dashboard>> {
  return Dashboard.parse(JSON.parse(await Deno.readTextFile(join(MONITORING, "dashboard.json"))));
}

Deno.test("dashboard and alerts name metrics that there are", async () => {
  const { panels } = await dashboard();
  const alerts = await Deno.readTextFile(join(MONITORING, "alerts.yml"));
  const text = [...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)), alerts].join();
  const named = text.match(/\b(noderax_agent|process)_\w+/g) ?? [];
  const known = new Set(METRICS.map(({ name }) => name));
  assert.deepEqual(named.filter((name) => !known.has(name)), []);
  assert(named.length > 15);
});

Deno.test("no two panels of the dashboard lie upon each other", async () => {
  const { panels } = await dashboard();
  const taken = new Set<string>();
  for (const { title, gridPos: { x, y, w, h } } of panels) {
    assert(x + w <= 24, title);
    for (let column = x; column < x + w; column++) {
      for (let row = y; row < y + h; row++) {
        assert(!taken.has(`${column} ${row}`), title);
        taken.add(`${column} ${row}`);
      }
    }
  }
});

Deno.test({
  name: `promtool finds nothing to say of the metrics${need}`,
  ignore,
  async fn() {
    const check = new Deno.Command(PROMTOOL, {
      args: ["check", "metrics"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = check.stdin.getWriter();
    await writer.write(new TextEncoder().encode(renderMetrics(STATUS)));
    await writer.close();
    const { code, stdout, stderr } = await check.output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.deepEqual({ code, said }, { code: 0, said: "" });
  },
});

Deno.test({
  name: `promtool reads the alert rules, which fire when they should${need}`,
  ignore,
  async fn() {
    const rules = await runTool(PROMTOOL, "check", "rules", join(MONITORING, "alerts.yml"));
    assert.equal(rules.code, 0, rules.stderr);
    const fired = await runTool(PROMTOOL, "test", "rules", join(ROOT, "tests/alerts.yml"));
    assert.equal(fired.code, 0, fired.stdout + fired.stderr);
  },
});

Deno.test({
  name: `promtool reads every expression of the dashboard${need}`,
  ignore,
  async fn() {
    const { panels } = await dashboard();
    const rules = panels.flatMap(({ targets }) => targets).map(({ expr }, at) => ({
      record: `expression:${at}`,
      expr: expr.replaceAll("$__rate_interval", "5m"),
    }));
    const file = await Deno.makeTempFile({ suffix: ".json" });
    try {
      await Deno.writeTextFile(file, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
      const { code, stdout, stderr } = await runTool(PROMTOOL, "check", "rules", file);
      assert.equal(code, 0, stdout + stderr);
    } finally {
      await Deno.remove(file);
    }
  },
});
