import assert from "node:assert/strict";
import * as z from "@zod/zod";
import type { Browser, Page as BrowserPage } from "playwright-core";
import { startPage } from "../scripts/dev/_page.ts";
import { output, type RealtimeTest, setUpRealtime } from "../scripts/dev/_test_socket.ts";
import type { HealthNews } from "../scripts/dev/page/messages.ts";
import { PICTURES, until, Visit } from "./_page_visit.ts";
import { PATIENCE_MS } from "./_processes.ts";

const STEP_MS = 5_000;
const TERMINALS = 7;
const NOTHING_ELSE = {
  packetsRecv: 0,
  packetsSent: 0,
  errorsIn: 0,
  errorsOut: 0,
  dropIn: 0,
  dropOut: 0,
};
const HEALTH: HealthNews = {
  type: "health",
  health: "degraded",
  problem: "the control plane does not answer",
  fix: "switch faults off",
};

/** What a machine shows that this one need not have: interfaces, a temperature, a pause. */
export async function visitMadeUpNode(browser: Browser): Promise<void> {
  await using made = await setUpRealtime({
    agentPingTimeoutMs: PATIENCE_MS,
    terminalOpenMs: PATIENCE_MS,
  });
  const agent = await made.agent();
  const start = Date.now() - 20 * STEP_MS;
  for (let step = 0; step <= 20; step++) {
    // For a while it did not run.
    if (step > 8 && step < 13) continue;
    await agent.send("agent.metrics", snapshot(made, step, start + step * STEP_MS));
  }
  agent.socket.on("terminal.start", ({ sessionId }: { sessionId: string }) => {
    // The test may be over before the acknowledgements are here.
    agent.send("terminal.opened", { sessionId }).catch(() => {});
    agent.send("terminal.output", output(sessionId, "a shell that is none\r\n")).catch(() => {});
  });
  const options = { run: () => {}, health: () => HEALTH, key: "0".repeat(32) };
  let server = startPage(made.cp, options);
  try {
    await using visit = await Visit.start(browser, server.url, { reducedMotion: "reduce" });
    const { page } = visit;
    await page.locator("#health").getByText(`degraded: ${HEALTH.problem} — ${HEALTH.fix}`)
      .waitFor();
    await readCharts(page);
    if (PICTURES) await page.screenshot({ path: `${PICTURES}_made_up.png` });
    await manyTabs(page);
    const port = Number(new URL(server.url).port);
    visit.mayFail = /ERR_CONNECTION_REFUSED/;
    await server[Symbol.asyncDispose]();
    await page.getByRole("alert").getByText("The connection is lost").waitFor();
    server = startPage(made.cp, { ...options, port });
    await page.getByRole("alert").waitFor({ state: "hidden" });
    await page.locator(".xterm-rows:visible").getByText("a shell that is none").waitFor();
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

async function readCharts(page: BrowserPage): Promise<void> {
  const chart = (name: RegExp) => page.getByRole("img", { name });
  await chart(/^Temperature: 51.5 °C/).waitFor();
  await chart(/^Network: ↓ 6.0 KiB\/s ↑ 3.0 KiB\/s/).waitFor();
  await page.getByLabel("Interface").selectOption("eth1");
  await chart(/^Network: ↓ 4.0 KiB\/s ↑ 2.0 KiB\/s/).waitFor();
  const legend = page.locator(".drawing[aria-label^=Network] .u-legend");
  for (const line of ["down", "up"]) await legend.getByText(line, { exact: true }).waitFor();
  const values = page.locator("figcaption strong");
  const cut = () =>
    values.evaluateAll((all) =>
      all.filter((it) => it.scrollWidth > it.clientWidth + 1).map((it) =>
        `${it.textContent}: ${it.scrollWidth} of ${it.clientWidth}`
      )
    );
  await until(cut, [], "each value has its room");
  const drawn = async () => z.array(z.boolean()).parse(await page.evaluate(COLUMNS));
  await until(drawn, [true, false, true], "no line goes through where nothing is known");
}

/** Whether something of the accent's colour is drawn at three places of the CPU's chart. */
const COLUMNS = `(() => {
  const canvas = document.querySelector(".drawing[aria-label^=CPU] canvas");
  const over = document.querySelector(".drawing[aria-label^=CPU] .u-over");
  const scale = canvas.width / canvas.clientWidth;
  const { left, width } = over.getBoundingClientRect();
  const from = left - canvas.getBoundingClientRect().left;
  return [0.2, 0.525, 0.8].map((part) => {
    const x = Math.round((from + width * part) * scale);
    const { data } = canvas.getContext("2d").getImageData(x, 0, 1, canvas.height);
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] > 200 && data[at + 2] - data[at] > 60) return true;
    }
    return false;
  });
})()`;

async function manyTabs(page: BrowserPage): Promise<void> {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.locator(".xterm-rows:visible").getByText("a shell that is none").waitFor();
  for (let number = 2; number <= TERMINALS; number++) {
    await page.keyboard.press("Alt+Shift+KeyT");
    await page.getByRole("tab", { name: `Terminal ${number}`, selected: true }).waitFor();
  }
  const list = page.locator("#tabs");
  await until(() => list.evaluate((it) => it.scrollWidth > it.clientWidth), true, "it scrolls");
  const isSeen = () =>
    list.evaluate((it) => {
      const shown = it.querySelector("[aria-selected=true]")?.getBoundingClientRect();
      const { left, right } = it.getBoundingClientRect();
      return shown !== undefined && shown.left >= left - 1 && shown.right <= right + 1;
    });
  await until(isSeen, true, "the new one is seen");
  await page.getByRole("tab", { name: `Terminal ${TERMINALS}` }).focus();
  // From the last one to the first.
  await page.keyboard.press("ArrowRight");
  const first = page.getByRole("tab", { name: "Terminal 1", selected: true });
  await first.waitFor();
  await until(isSeen, true, "so is the one that was stepped to");
  await until(() => first.evaluate((it) => it.matches(":focus")), true, "it has the focus");
  await page.keyboard.press("Delete");
  await first.waitFor({ state: "detached" });
  await page.getByTitle(`Close Terminal ${TERMINALS} (`).click();
  await until(() => page.getByRole("tab").count(), TERMINALS - 2, "two are closed");
  assert.equal(await page.locator(".xterm-cursor-blink").count(), 0, "nothing moves");
  await page.setViewportSize({ width: 1280, height: 800 });
}

function snapshot({ node }: RealtimeTest, step: number, at: number): Record<string, unknown> {
  const seconds = step * STEP_MS / 1000;
  const counters = (name: string, perSecond: number) => ({
    interface: name,
    bytesRecv: 2 * perSecond * seconds,
    bytesSent: perSecond * seconds,
    ...NOTHING_ELSE,
  });
  return {
    ...node,
    agentVersion: "2.0.0",
    collectedAt: new Date(at).toISOString(),
    cpuUsage: 50,
    memoryUsage: 40,
    diskUsage: 30,
    temperature: 51.5,
    networks: [counters("eth0", 1024), counters("eth1", 2048)],
  };
}
