import assert from "node:assert/strict";
import axe from "axe-core/axe.min.js" with { type: "text" };
import * as z from "@zod/zod";
import type { Browser, Page as BrowserPage } from "playwright-core";
import { startPage } from "../scripts/dev/_page.ts";
import type { ControlPlane, NewTask, RequestRecord } from "../scripts/dev/control_plane.ts";
import { Fleet } from "./_agent.ts";
import { FROM_SOURCE } from "./_command.ts";
import { visitMadeUpNode } from "./_page_made_up_node.ts";
import { promptThere, useTerminals } from "./_page_terminals.ts";
import { untilThere } from "./_shell.ts";
import { BROWSER, ended, launch, note, PICTURES, run, until, Visit } from "./_page_visit.ts";

const SIZES = [[390, 844], [1280, 800], [1920, 1080]] as const;
const MANY = 100_000;
const MAX_BYTES = 150_000;

const hasBrowser = await Deno.stat(BROWSER).then(() => true, () => false);

Deno.test({
  name: hasBrowser
    ? "the page in a browser: log, tasks, terminals, faults, accessibility, touch"
    : `the page in a browser: NOT TESTED, there is no ${BROWSER} (apt-get install chromium)`,
  // The page is no part of a release.
  ignore: !hasBrowser || !FROM_SOURCE,
  // The driver keeps its own timers and pipes.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async (t) => {
    await using fleet = await Fleet.start({ realtime_enabled: true, metrics_interval: "1s" });
    await using agent = await fleet.agent({ HISTFILE: "/dev/null" });
    // The page opens a terminal at once.
    await agent.waitForLog("realtime session is up");
    const { controlPlane } = fleet;
    const queue = (task: NewTask) => void controlPlane.queueTask(task);
    await using server = startPage(controlPlane, { run: queue });
    const browser = await launch();
    try {
      await using visit = await Visit.start(browser, server.url);
      const { page } = visit;
      const steps: Record<string, () => Promise<void>> = {
        "what it weighs": () => weigh(page),
        "the log": () => readLog(page),
        "a log of many lines": () => readManyLines(page, controlPlane),
        "tasks": () => useTasks(page),
        "terminals": () => useTerminals(page, controlPlane),
        "charts": () => readCharts(page),
        "faults": () => switchFaults(page, fleet),
        "accessibility, and pictures": () => checkAll(page),
        "touch": () => touch(browser, server.url),
        "a made-up node: gaps, temperature, many tabs, a lost connection": () =>
          visitMadeUpNode(browser),
      };
      // Each goes on where the one before it ended.
      for (const [name, step] of Object.entries(steps)) if (!await t.step(name, step)) return;
    } catch (cause) {
      const terminals = controlPlane.realtime.terminals.map((terminal) =>
        `terminal ${terminal.status}, ${terminal.frames} frames: ${JSON.stringify(terminal.tail())}`
      );
      throw new Error(["as the control plane saw it:", ...terminals].join("\n"), { cause });
    } finally {
      await browser.close();
    }
    assert.deepEqual(controlPlane.violations, []);
    assert.equal((await agent.stop()).code, 0);
  },
});

const Weight = z.object({ bytes: z.number(), firstPaintMs: z.number() });

async function weigh(page: BrowserPage): Promise<void> {
  await page.locator(".xterm-rows").waitFor();
  await page.waitForFunction("performance.getEntriesByName('first-paint').length > 0");
  const weight = Weight.parse(
    await page.evaluate(`({
      bytes: [...performance.getEntriesByType("navigation"),
        ...performance.getEntriesByType("resource")]
        .reduce((sum, entry) => sum + entry.encodedBodySize, 0),
      firstPaintMs: performance.getEntriesByName("first-paint")[0].startTime,
    })`),
  );
  assert.ok(weight.bytes > 50_000 && weight.bytes < MAX_BYTES, JSON.stringify(weight));
  await note("weight", weight);
}

async function readLog(page: BrowserPage): Promise<void> {
  const lines = page.locator("#lines");
  await run(page, String.raw`printf '\033[31mred\033[0m plain\n'; echo oops >&2; exit 3`, "exit 3");
  const red = lines.getByText("red", { exact: true });
  assert.equal(await red.evaluate((it) => it.style.color), "var(--ansi-1)");
  assert.match(await lines.locator(".stream-stderr").textContent() ?? "", /oops/);
  await run(page, String.raw`printf '10%%\r20%%\r100%%\nsee https://example.com/x.\n'`);
  const texts = lines.locator(".row .text");
  await until(() => texts.allTextContents(), ["100%", "see https://example.com/x."]);
  const link = lines.getByRole("link", { name: "https://example.com/x", exact: true });
  assert.equal(await link.getAttribute("href"), "https://example.com/x");
  await run(page, "true");
  await page.getByText("Ended without output.").waitFor();
  await run(page, "seq 300 | sed 's/7$/7 seven/'");
  await lines.focus();
  await page.keyboard.press("/");
  await page.keyboard.type("seven");
  await page.locator("#hits").getByText("1/30").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("n");
  await page.keyboard.press("n");
  await page.keyboard.press("Shift+N");
  await page.locator("#hits").getByText("2/30").waitFor();
  await lines.locator(".current mark").getByText("seven", { exact: true }).waitFor();
  await page.locator("#follow[aria-pressed=false]").waitFor();
  await page.getByLabel("Search in the log").fill("");
  await page.getByRole("button", { name: "Time: off" }).click();
  await lines.locator("time").first().getByText(/^\+\d+\.\d{3}$/).waitFor();
  await page.getByRole("button", { name: "Time: since start" }).click();
  await lines.locator("time").first().getByText(/^\d\d:\d\d:\d\d\.\d{3}$/).waitFor();
  await page.getByRole("button", { name: "Time: clock" }).click();
  // It is said for a moment only, which the driver may not look at.
  const told = page.evaluate(`new Promise((resolve) => {
    const copy = document.querySelector("#copy");
    const look = () => copy.textContent === "Copied" && resolve();
    new MutationObserver(look).observe(copy, { childList: true });
  })`);
  await page.locator("#copy").click();
  await told;
  const copied = z.string().parse(await page.evaluate("navigator.clipboard.readText()"));
  assert.match(copied, /^1\n2\n.*\n7 seven\n.*300\n$/s);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.locator("#download").click(),
  ]);
  assert.match(download.suggestedFilename(), /^task-\d+\.log$/);
  await lines.getByRole("link", { name: "line 20", exact: true }).click();
  await page.waitForURL(/#task=[0-9a-f-]{36}&line=20$/);
  await page.reload();
  await lines.locator(".current").getByText("20", { exact: true }).waitFor();
  await wrap(page);
}

async function wrap(page: BrowserPage): Promise<void> {
  await run(page, String.raw`printf '%02000d\n' 1; echo end`);
  const first = page.locator("#lines .row").first();
  const height = () => first.evaluate((it) => it.getBoundingClientRect().height);
  const before = await height();
  await page.locator("#wrap").click();
  await page.waitForFunction("document.querySelector('#lines .row')?.offsetHeight > 50");
  const space = page.locator(".space");
  const isRight = async () => {
    const rows = await height() / before;
    return await space.evaluate((it) => it.getBoundingClientRect().height) === (rows + 1) * before;
  };
  await until(isRight, true, "the way to scroll is that of the rows");
  await page.locator("#wrap").click();
}

async function readManyLines(page: BrowserPage, controlPlane: ControlPlane): Promise<void> {
  await run(page, "echo many");
  const task = controlPlane.tasks.at(-1);
  assert.ok(task);
  const receivedAt = Date.now();
  for (let line = 1; line <= MANY; line++) {
    const text = `\x1b[3${line % 8}mline\x1b[0m ${line} of many`;
    task.logs.push({ stream: "stdout", line: text, timestamp: undefined, receivedAt });
  }
  controlPlane.touched();
  await page.locator("#lines").getByText(`${MANY} of many`).waitFor();
  // A person who scrolls up stays there, whatever comes.
  const frames = z.array(z.number()).parse(await page.evaluate(SCROLL));
  await page.locator("#follow[aria-pressed=false]").waitFor();
  assert.ok(await page.locator("#lines .row").count() < 200, "only what is seen is there");
  const sorted = frames.toSorted((a, b) => a - b);
  const at = (part: number) =>
    Math.round((sorted[Math.floor(sorted.length * part)] ?? 0) * 10) / 10;
  await note("frames", { lines: MANY, medianMs: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) });
  await page.getByLabel("Search in the log").fill(`${MANY - 1} of`);
  await page.locator("#hits").getByText("1/1").waitFor();
  await page.getByLabel("Search in the log").fill("");
  await page.locator("#follow").click();
  await page.locator("#lines").getByText(`${MANY} of many`).waitFor();
}

/** Scrolls through a whole log in 60 frames and tells how long each of them took. */
const SCROLL = `(async () => {
  const lines = document.querySelector("#lines");
  const frames = [];
  let before = await new Promise(requestAnimationFrame);
  for (let step = 60; step >= 0; step--) {
    lines.scrollTop = lines.scrollHeight * step / 61;
    const now = await new Promise(requestAnimationFrame);
    frames.push(now - before);
    before = now;
  }
  return frames;
})()`;

async function useTasks(page: BrowserPage): Promise<void> {
  await run(page, "exit 7", "exit 7");
  await page.getByRole("button", { name: "Run again" }).click();
  await page.locator(".task .figures").getByText(/^exit 7/).nth(1).waitFor();
  await page.locator("#announcement").getByText(/ended: failed, exit 7/).waitFor();
  const box = page.getByLabel("Command");
  await box.press("ArrowUp");
  await until(() => box.inputValue(), "exit 7");
  await box.fill("sleep 100");
  await box.press("Enter");
  await page.locator("#log-title").getByText("sleep 100").waitFor();
  await page.locator("#log-state").getByText("running").waitFor();
  await page.getByText("No output yet.").waitFor();
  await page.keyboard.press("Alt+Shift+KeyC");
  await page.locator("#log-state").getByText("cancelled").waitFor();
  await page.getByLabel("Type of task").selectOption("other");
  await box.fill('shell.exec {"command": "echo $WHO", "environment": {"WHO": "me"}}');
  await box.press("Enter");
  await page.locator("#lines").getByText("me", { exact: true }).waitFor();
  await chooseOlder(page);
  await page.getByLabel("Type of task").selectOption("packageSearch");
  await box.fill("no-such-package-anywhere");
  await box.press("Enter");
  await page.locator(".task code").getByText("packageSearch no-such-package-anywhere").waitFor();
  await page.getByLabel("Type of task").selectOption("packageList");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.getByLabel("Result").getByText(/"packages": \[\s+\{/).waitFor();
  await page.getByLabel("Type of task").selectOption("log.scan");
  await box.fill("syslog");
  await box.press("Enter");
  await page.locator("#log-title").getByText("log.scan syslog").waitFor();
  await page.locator("#log-state").getByText(/failed|success/).waitFor();
  await page.getByLabel("Type of task").selectOption("shell");
  await page.getByLabel("Filter tasks").fill("exit 7");
  await until(() => page.locator(".task:visible").count(), 2);
  await page.getByLabel("Filter by state").selectOption("success");
  await page.getByText("No task is like that.").waitFor();
  await page.getByLabel("Filter by state").selectOption("");
  await page.getByLabel("Filter tasks").fill("");
}

/** Of a log that has not come yet nobody is told that there is none. */
async function chooseOlder(page: BrowserPage): Promise<void> {
  await page.evaluate(`{
    const note = document.querySelector("#no-lines");
    globalThis.said = [];
    new MutationObserver(() => said.push(note.textContent)).observe(note, { childList: true });
  }`);
  await page.locator(".task code").getByText("printf").first().click();
  await ended(page, "exit 0");
  await page.locator("#lines").getByText("end", { exact: true }).waitFor();
  assert.deepEqual(await page.evaluate("said.filter((text) => text !== '')"), []);
}

async function readCharts(page: BrowserPage): Promise<void> {
  await page.getByRole("img", { name: /^CPU: .* %.*, \d*[2-9] values/ }).waitFor();
  await page.getByRole("img", { name: /^Network: .*\d \w*B\/s/ }).waitFor();
  await page.locator(".u-over").first().hover();
  await page.locator(".u-legend .u-value").getByText(/^\d+\.\d %$/).first().waitFor();
  await page.getByRole("button", { name: "1 h" }).click();
  await page.getByRole("button", { name: "1 h", pressed: true }).waitFor();
}

async function switchFaults(page: BrowserPage, fleet: Fleet): Promise<void> {
  const { controlPlane, folder } = fleet;
  await page.locator("#faults summary").click();
  await page.getByLabel("Outage").check();
  await page.locator("#status").getByText("offline").waitFor();
  await page.locator("#faults-on").getByText("1 on").waitFor();
  await page.getByLabel("Outage").uncheck();
  await page.locator("#status").getByText("online").waitFor();
  await page.getByLabel("Latency").selectOption("200");
  const since = Date.now();
  const late = ({ at, endedAt }: RequestRecord) => endedAt !== undefined && endedAt - at >= 190;
  await controlPlane.waitFor(() => controlPlane.requests.some((it) => it.at >= since && late(it)));
  const go = `${folder}/go`;
  await page.getByLabel("Command").fill(`${untilThere(go)}; seq 5`);
  await page.getByLabel("Command").press("Enter");
  await page.locator("#log-title").getByText("seq 5").waitFor();
  await page.locator("#log-state").getByText("running").waitFor();
  await page.getByLabel("Errors").selectOption("100");
  await page.locator("#faults-on").getByText("2 on").waitFor();
  await Deno.writeTextFile(go, "");
  await controlPlane.waitFor(() =>
    controlPlane.requests.some(({ status, path }) => status === 503 && path.endsWith("/logs"))
  );
  await page.getByLabel("Errors").selectOption("0");
  await page.getByLabel("Latency").selectOption("0");
  // Whatever happened to its requests: all lines come, in their order.
  await ended(page, "exit 0");
  const lines = page.locator("#lines .text");
  await until(() => lines.allTextContents(), ["1", "2", "3", "4", "5"]);
  await page.locator("#faults-on").getByText("on").waitFor({ state: "detached" });
  await page.getByLabel("Root access").selectOption("off");
  await page.locator("dd").getByText("off", { exact: true }).waitFor();
  await page.getByLabel("Maintenance").check();
  await page.locator("dt").getByText("Maintenance").waitFor();
  // Nothing is begun: not even what would install something.
  await page.getByLabel("Type of task").selectOption("packageInstall");
  await page.getByLabel("Command").fill("no-such-package another-one");
  await page.getByLabel("Command").press("Enter");
  await page.locator("#log-title").getByText("packageInstall no-such-package another-one")
    .waitFor();
  await page.locator("#log-state").getByText("queued").waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.locator("#log-state").getByText("cancelled").waitFor();
  await page.getByLabel("Type of task").selectOption("shell");
  await page.getByLabel("Command").fill("echo waited");
  await page.getByLabel("Command").press("Enter");
  await page.locator("#log-title").getByText("echo waited").waitFor();
  await page.locator("#log-state").getByText("queued").waitFor();
  await page.getByLabel("Maintenance").uncheck();
  await page.locator("#log-state").getByText("exit 0").waitFor();
  await page.locator("dt").getByText("Maintenance").waitFor({ state: "detached" });
  await page.locator("#faults summary").click();
}

async function checkAll(page: BrowserPage): Promise<void> {
  await run(page, "cat /etc/os-release; ls --color=always -la /; ls /nonsense", "exit 2");
  // A smaller window is no reason to follow no longer.
  await page.setViewportSize({ width: 700, height: 600 });
  await page.waitForFunction(`(() => {
    const { scrollHeight, scrollTop, clientHeight } = document.querySelector("#lines");
    return scrollHeight - scrollTop - clientHeight < 30;
  })()`);
  await page.locator("#follow[aria-pressed=true]").waitFor();
  await page.locator("#faults summary").click();
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height });
      await page.evaluate(axe);
      const found = await page.evaluate("axe.run().then(({ violations }) => violations)");
      const violations = Violations.parse(found).map(({ id, nodes }) =>
        `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n")}`
      );
      assert.deepEqual(violations, [], `${width} ${colorScheme}`);
      if (!PICTURES) continue;
      await page.screenshot({
        path: `${PICTURES}_${width}_${colorScheme}.png`,
        fullPage: width < 900,
      });
    }
  }
  await page.locator("#faults summary").click();
}

const Violations = z.array(z.object({
  id: z.string(),
  nodes: z.array(z.object({ html: z.string(), failureSummary: z.string() })),
}));

async function touch(browser: Browser, url: string): Promise<void> {
  const viewport = { width: 390, height: 844 };
  await using visit = await Visit.start(browser, url, { viewport, hasTouch: true, isMobile: true });
  const { page } = visit;
  const rows = page.locator(".xterm-rows:visible");
  await rows.getByText(/[#$]/).first().waitFor();
  await page.locator("#panes").tap();
  await page.keyboard.type("sleep 100\n");
  await page.getByRole("button", { name: "Control C" }).tap();
  await rows.getByText("^C").waitFor();
  await promptThere(page);
  await page.getByRole("button", { name: "Ctrl", exact: true }).tap();
  await page.keyboard.press("d");
  await page.getByText(/Terminal 1 ended/).waitFor();
  const width = z.number().parse(await page.evaluate("document.documentElement.scrollWidth"));
  assert.ok(width <= viewport.width, `nothing sticks out: ${width}`);
}
