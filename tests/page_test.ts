import assert from "node:assert/strict";
import type { Browser, Page as BrowserPage } from "playwright-core";
import { startPage } from "../scripts/dev/_page.ts";
import { Fleet } from "./_agent.ts";
import { FROM_SOURCE } from "./_command.ts";
import { PATIENCE_MS } from "./_processes.ts";

/** Debian's package. */
const BROWSER = "/usr/bin/chromium";
/** Pictures go to files that begin like this, if it is set. */
const PICTURES = Deno.env.get("PAGE_PICTURES");

const hasBrowser = await Deno.stat(BROWSER).then(() => true, () => false);

Deno.test({
  name: hasBrowser
    ? "the page in a browser: node, charts, commands, terminals"
    : `the page in a browser: NOT TESTED, there is no ${BROWSER} (apt-get install chromium)`,
  // The page is no part of a release.
  ignore: !hasBrowser || !FROM_SOURCE,
  // The driver keeps its own timers and pipes.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    await using fleet = await Fleet.start({ realtime_enabled: true, metrics_interval: "1s" });
    await using agent = await fleet.agent({ HISTFILE: "/dev/null" });
    // The page opens a terminal at once.
    await agent.waitForLog("realtime session is up");
    const run = (command: string) => void fleet.shell(command);
    await using page = startPage(fleet.controlPlane, { run });
    const browser = await launch();
    try {
      await visit(browser, page.url);
    } catch (cause) {
      const terminals = fleet.controlPlane.realtime.terminals.map((terminal) =>
        `terminal ${terminal.status}, ${terminal.frames} frames: ${JSON.stringify(terminal.tail())}`
      );
      throw new Error(["as the control plane saw it:", ...terminals].join("\n"), { cause });
    } finally {
      await browser.close();
    }
    assert.deepEqual(fleet.controlPlane.violations, []);
    assert.equal((await agent.stop()).code, 0);
  },
});

async function launch(): Promise<Browser> {
  // Else it looks below /proc while it is loaded, which needs all permissions there are.
  Deno.env.set("__IS_WSL_TEST__", "1");
  const { chromium } = await import("playwright-core");
  return await chromium.launch({ executablePath: BROWSER, args: ["--no-sandbox"] });
}

async function visit(browser: Browser, url: string): Promise<void> {
  const viewport = { width: 1360, height: 850 };
  const page = await browser.newPage({ colorScheme: "light", viewport });
  page.setDefaultTimeout(PATIENCE_MS);
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  await page.goto(url);
  await page.getByRole("status").getByText("online", { exact: true }).waitFor();
  await runCommands(page);
  await useTerminals(page);
  await page.getByRole("img", { name: /^CPU: .* %.*, \d*[2-9] values/ }).waitFor();
  await page.getByRole("img", { name: /^Network: .*\d \w*B\/s/ }).waitFor();
  await takePictures(page);
  assert.deepEqual(problems, []);
}

async function runCommands(page: BrowserPage): Promise<void> {
  await page.keyboard.type("echo first && echo oops >&2");
  await page.keyboard.press("Enter");
  await page.getByLabel("Log of task 1").getByText("first").waitFor();
  await page.getByText("exit 0 ·").waitFor();
  await page.keyboard.type("seq 20; exit 3");
  await page.keyboard.press("Enter");
  await page.getByText("exit 3 ·").waitFor();
  assert.match(await page.getByLabel("Log of task 2").textContent() ?? "", /^1\n2\n.*20\n$/s);
  assert.equal(await page.getByLabel("Log of task 1").isVisible(), false, "older tasks are folded");
  const box = page.getByLabel("Command");
  await box.press("ArrowUp");
  await box.press("ArrowUp");
  assert.equal(await box.inputValue(), "echo first && echo oops >&2");
  await box.fill("sleep 100");
  await box.press("Enter");
  await page.getByRole("listitem").getByText("running").waitFor();
  await page.keyboard.press("Alt+Shift+KeyC");
  await page.getByRole("listitem").getByText("cancelled", { exact: true }).waitFor();
}

async function useTerminals(page: BrowserPage): Promise<void> {
  const rows = page.locator(".xterm-rows:visible");
  await rows.getByText(/[#$]/).first().waitFor();
  await page.keyboard.press("Alt+Digit3");
  await page.keyboard.type("echo typed $((6 * 7)) ä€; stty size\n");
  await rows.getByText("typed 42 ä€").waitFor();
  await rows.getByText(/^\d+ \d+$/).waitFor();
  assert.doesNotMatch(await rows.textContent() ?? "", /34 120/, "it has the size of the pane");
  await page.keyboard.press("Alt+Shift+KeyT");
  await page.getByRole("tab", { name: "Terminal 2", selected: true }).waitFor();
  await page.keyboard.type("exit\n");
  await rows.getByText("closed: exit code 0").waitFor();
  await page.keyboard.press("Enter");
  await rows.getByText("typed 42 ä€").waitFor();
  // What was shown before is there again after a reload.
  await page.reload();
  await rows.getByText("typed 42 ä€").waitFor();
  assert.equal(await page.getByRole("tab").count(), 1);
}

async function takePictures(page: BrowserPage): Promise<void> {
  if (!PICTURES) return;
  await page.keyboard.type("cat /etc/os-release; ls /nonsense");
  await page.keyboard.press("Enter");
  await page.getByText("exit 2 ·").waitFor();
  await page.keyboard.press("Alt+Digit3");
  await page.keyboard.type("ls --color -l /\n");
  await page.getByRole("img", { name: /^CPU: .*, 30 values/ }).waitFor({
    timeout: 2 * PATIENCE_MS,
  });
  await page.screenshot({ path: `${PICTURES}_light.png` });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.screenshot({ path: `${PICTURES}_dark.png` });
  await page.setViewportSize({ width: 420, height: 900 });
  await page.screenshot({ path: `${PICTURES}_narrow.png`, fullPage: true });
}
