import assert from "node:assert/strict";
import * as z from "@zod/zod";
import type { Locator, Page as BrowserPage } from "playwright-core";
import type { ControlPlane } from "../scripts/dev/control_plane.ts";
import { until } from "./_page_visit.ts";
import { eventually } from "./_processes.ts";

/** The terminals of a real agent: typing, tabs, clipboard, links, and what a reload shows again. */
export async function useTerminals(page: BrowserPage, controlPlane: ControlPlane): Promise<void> {
  const rows = page.locator(".xterm-rows:visible");
  await rows.getByText(/[#$]/).first().waitFor();
  await page.keyboard.press("Alt+Digit4");
  await page.keyboard.type("echo typed $((6 * 7)) ä€; stty size\n");
  await rows.getByText("typed 42 ä€").waitFor();
  await rows.getByText(/^\d+ \d+$/).waitFor();
  assert.doesNotMatch(await rows.textContent() ?? "", /34 120/, "it has the size of the pane");
  await page.keyboard.press("Alt+Shift+KeyT");
  const second = page.getByRole("tab", { name: "Terminal 2", selected: true });
  await second.waitFor();
  await second.dblclick();
  await page.keyboard.type("builds\n");
  await page.getByRole("tab", { name: "builds", selected: true }).waitFor();
  await rows.getByText(/[#$]/).first().waitFor();
  await page.keyboard.type("exit\n");
  await page.getByText("builds ended: exit code 0").waitFor();
  await page.locator("#reopen").click();
  await page.getByRole("tab", { name: "Terminal 3", selected: true }).waitFor();
  await page.getByTitle(/^Close Terminal 3/).click();
  await rows.getByText("typed 42 ä€").waitFor();
  await page.getByLabel("Search in the terminal").fill("typed 42");
  await page.locator(".xterm-selection div").first().waitFor({ state: "attached" });
  await page.getByLabel("Search in the terminal").fill("");
  await clip(page, rows);
  await dropSocket(page, rows, controlPlane);
  await replay(page, rows);
}

async function clip(page: BrowserPage, rows: Locator): Promise<void> {
  const address = new URL("/nothing-here", page.url()).href;
  await page.keyboard.press("Alt+Digit4");
  await page.keyboard.type(`clear; echo ${address}; echo co""pied\n`);
  const copied = rows.locator("div").getByText(/^copied/);
  await copied.waitFor();
  // A row that is drawn anew between two looks has no place.
  const placeOf = (it: Locator) => eventually("its place", () => it.boundingBox());
  const { x, y } = await placeOf(rows.locator("div").getByText(/^http/));
  // It becomes one when the mouse comes.
  await page.mouse.move(x + 30, y + 8);
  await page.locator(".xterm-screen.xterm-cursor-pointer").waitFor();
  const [opened] = await Promise.all([
    page.waitForEvent("popup"),
    page.mouse.click(x + 30, y + 8),
  ]);
  await opened.waitForURL(address);
  await opened.close();
  const word = await placeOf(copied);
  await page.mouse.dblclick(word.x + 10, word.y + 8);
  await page.keyboard.press("Control+Shift+KeyC");
  await page.waitForFunction("navigator.clipboard.readText().then((it) => it === 'copied')");
  await page.evaluate("navigator.clipboard.writeText('echo pas\"\"ted')");
  await page.keyboard.press("Control+Shift+KeyV");
  await rows.getByText(/echo pas""ted/).waitFor();
  await page.keyboard.press("Enter");
  await rows.getByText(/^pasted/).waitFor();
}

/** The terminal outlives it, and nobody types into nothing. */
async function dropSocket(
  page: BrowserPage,
  rows: Locator,
  controlPlane: ControlPlane,
): Promise<void> {
  const before = controlPlane.realtime.sockets.at(0)?.id;
  await page.locator("#faults summary").click();
  // Else it is shown for a moment only, which the driver may not look at.
  const away = controlPlane.fault({ path: "/socket.io/", status: 503 });
  await page.getByRole("button", { name: "Drop the socket" }).click();
  await page.locator("#unreachable").waitFor();
  away.remove();
  await controlPlane.waitFor(() => {
    const now = controlPlane.realtime.sockets.at(0)?.id;
    return now !== undefined && now !== before;
  });
  await page.locator("#unreachable").waitFor({ state: "hidden" });
  await page.locator("#faults summary").click();
  await page.keyboard.press("Alt+Digit4");
  await page.keyboard.type('echo sti""ll\n');
  await rows.getByText(/^still/).waitFor();
}

/** The rows of the terminal that is shown. */
async function shownRows(page: BrowserPage): Promise<string[]> {
  const rows = "document.querySelectorAll('.pane:not([hidden]) .xterm-rows > div')";
  return z.array(z.string()).parse(
    await page.evaluate(`[...${rows}].map((it) => it.textContent.trimEnd())`),
  );
}

/** Waits until the shell has nothing else to do. */
export async function promptThere(page: BrowserPage): Promise<void> {
  const isThere = async () => /[#$]$/.test((await shownRows(page)).join("\n").trimEnd());
  await until(isThere, true, "a prompt");
}

/** What was shown before is there again after a reload, each line as wide as it was. */
async function replay(page: BrowserPage, rows: Locator): Promise<void> {
  await page.keyboard.type("clear; printf 'x%.0s' $(seq 130); echo; stty size\n");
  await rows.getByText(/^\d+ \d+$/).waitFor();
  await page.setViewportSize({ width: 700, height: 800 });
  await page.keyboard.type("stty size; echo nar''row\n");
  await rows.getByText(/^narrow/).waitFor();
  await promptThere(page);
  const before = await shownRows(page);
  await page.reload();
  await until(() => shownRows(page), before, "the terminal after a reload");
  await until(() => page.getByRole("tab").count(), 1);
  await page.setViewportSize({ width: 1280, height: 800 });
}
