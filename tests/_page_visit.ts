import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { Browser, BrowserContextOptions, Page as BrowserPage } from "playwright-core";
import { eventually, PATIENCE_MS } from "./_processes.ts";

/** Debian's package. */
export const BROWSER = "/usr/bin/chromium";
/** Pictures and figures go to files that begin like this, if it is set. */
export const PICTURES = Deno.env.get("PAGE_PICTURES");

/** Starts the browser. */
export async function launch(): Promise<Browser> {
  // Else it looks below /proc while it is loaded, which needs all permissions there are.
  Deno.env.set("__IS_WSL_TEST__", "1");
  const { chromium } = await import("playwright-core");
  const args = ["--no-sandbox", "--disable-gpu"];
  return await chromium.launch({ executablePath: BROWSER, args });
}

/** A page that is open; what went wrong in it fails the test at its end. */
export class Visit implements AsyncDisposable {
  /** The page. */
  readonly page: BrowserPage;
  /** What the console may say. */
  mayFail: RegExp | undefined;
  readonly #problems: string[] = [];

  private constructor(page: BrowserPage) {
    this.page = page;
    page.on("pageerror", (error) => this.#problems.push(error.stack ?? error.message));
    page.on("console", (message) => {
      const text = message.text();
      if (message.type() === "error" && !this.mayFail?.test(text)) this.#problems.push(text);
    });
  }

  /** Opens the address and waits until the node is shown. */
  static async start(
    browser: Browser,
    url: string,
    options: BrowserContextOptions = {},
  ): Promise<Visit> {
    const context = await browser.newContext({
      colorScheme: "light",
      viewport: { width: 1280, height: 800 },
      permissions: ["clipboard-read", "clipboard-write"],
      ...options,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const visit = new Visit(page);
    await page.goto(url);
    await page.locator("#status").getByText("online", { exact: true }).waitFor();
    return visit;
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
    assert.deepEqual(this.#problems, []);
  }
}

/**
 * Waits until `look` answers what is expected: what follows from the news of a server, or is drawn in
 * the browser's next frame, is not there yet when something else is.
 */
export async function until<T>(look: () => Promise<T>, expected: T, what = ""): Promise<void> {
  let last: T | undefined;
  const isIt = async () => isDeepStrictEqual(last = await look(), expected);
  try {
    await eventually(what, isIt);
  } catch (cause) {
    assert.deepEqual({ what, is: last }, { what, is: expected });
    throw cause;
  }
}

/** Waits until the shown task has come to this, and its log is there as it is. */
export async function ended(page: BrowserPage, end: string): Promise<void> {
  await page.locator("#log-state").getByText(end).waitFor();
  await page.locator("#log [aria-busy=true]").first().waitFor({ state: "detached" });
}

/** Types a command into the box and waits for its end. */
export async function run(page: BrowserPage, command: string, end = "exit 0"): Promise<void> {
  await page.getByLabel("Command").fill(command);
  await page.getByLabel("Command").press("Enter");
  await page.locator("#log-title").getByText(command).waitFor();
  await ended(page, end);
}

/** Keeps a figure beside the pictures. */
export async function note(name: string, figure: unknown): Promise<void> {
  if (PICTURES) await Deno.writeTextFile(`${PICTURES}_${name}.json`, JSON.stringify(figure));
}
