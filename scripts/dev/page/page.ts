/** The page of `deno task dev`: connects, shows what it is told, asks for what a person wants. */
import type { Charts } from "./charts.ts";
import { byId, make } from "./dom.ts";
import { LogPanel } from "./log_panel.ts";
import { frame, type News, type NodeNews, type PageRequest, unframe } from "./messages.ts";
import { NodeState } from "./node_state.ts";
import { RunForm } from "./run_form.ts";
import { figures, Tasks } from "./tasks.ts";
import type { Terminals } from "./terminals.ts";

const KEY_NAME = "key";
const RECONNECT_MS = 1000;
const PROBLEM_MS = 8000;
const NEVER_CONNECTED =
  "There is no connection: open the address that `deno task dev` has printed.";

const state = new NodeState(ask);
const log = new LogPanel(ask);
const tasks = new Tasks(ask, (task) => log.show(task));
const form = new RunForm(ask, { problem, asked: () => tasks.followNewest() });
// The heavy parts come after the first look at the page.
let charts: Charts | undefined;
let terminals: Terminals | undefined;
let hasOpenedTerminal = false;
let hasConnected = false;
let hidingProblem: ReturnType<typeof setTimeout> | undefined;
let socket: WebSocket;

/** The page's own keys; the browser, the shell and its programs rarely want these. */
const SHORTCUTS = [
  { keys: "Alt+1", code: "Digit1", what: "command", run: () => form.focus() },
  { keys: "Alt+2", code: "Digit2", what: "tasks", run: () => tasks.focus() },
  { keys: "Alt+3", code: "Digit3", what: "log", run: () => byId("lines", HTMLElement).focus() },
  { keys: "Alt+4", code: "Digit4", what: "terminal", run: () => terminals?.focus() },
  { keys: "Alt+Shift+C", code: "KeyC", what: "cancel task", run: () => tasks.cancelNewest() },
  { keys: "Alt+Shift+T", code: "KeyT", what: "new terminal", run: () => terminals?.open() },
  { keys: "Alt+Shift+W", code: "KeyW", what: "close it", run: () => terminals?.closeShown() },
  { keys: "Alt+Shift+←", code: "ArrowLeft", what: "previous", run: () => terminals?.step(-1) },
  { keys: "Alt+Shift+→", code: "ArrowRight", what: "next", run: () => terminals?.step(1) },
];
/** Keys of the log, which work while it has the focus. */
const LOG_KEYS = [["/", "search"], ["n N", "hits"], ["w", "wrap"], ["t", "times"], ["f", "follow"]];

function findShortcut(event: KeyboardEvent): typeof SHORTCUTS[number] | undefined {
  if (!event.altKey || event.ctrlKey || event.metaKey) return undefined;
  return SHORTCUTS.find(({ keys, code }) =>
    code === event.code && keys.includes("Shift") === event.shiftKey
  );
}

addEventListener("keydown", (event) => {
  const shortcut = findShortcut(event);
  if (!shortcut) return;
  event.preventDefault();
  shortcut.run();
});
for (const [keys = "", what] of [...SHORTCUTS.map((it) => [it.keys, it.what]), ...LOG_KEYS]) {
  byId("keys", HTMLElement).append(make("span", {}, make("kbd", {}, keys), ` ${what}`));
}
for (const button of document.querySelectorAll<HTMLElement>(".maximize")) {
  button.addEventListener("click", () => {
    const main = document.querySelector("main");
    const isOn = main?.dataset.maximized !== button.dataset.panel;
    if (isOn) main?.setAttribute("data-maximized", button.dataset.panel ?? "");
    else main?.removeAttribute("data-maximized");
    button.ariaPressed = String(isOn);
  });
}
addEventListener("hashchange", goTo);

const key = takeKey();
void start();

async function start(): Promise<void> {
  form.focus();
  await new Promise(requestAnimationFrame);
  const [chartsModule, terminalsModule] = await Promise.all([
    import("./charts.ts"),
    import("./terminals.ts"),
    ...["xterm", "uplot"].map(loadStyle),
  ]);
  charts = new chartsModule.Charts();
  terminals = new terminalsModule.Terminals({
    ask,
    type: (sessionId, bytes) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(frame(sessionId, bytes));
    },
    isShortcut: (event) => findShortcut(event) !== undefined,
  });
  socket = connect();
}

function loadStyle(name: string): Promise<void> {
  return new Promise((resolve) => {
    const link = make("link", { rel: "stylesheet", href: `/${name}.css`, onload: () => resolve() });
    document.head.prepend(link);
  });
}

/** The key of the address, kept: links to a task have no room for it. */
function takeKey(): string {
  const [given] = /^#([0-9a-f]{32})$/.exec(location.hash) ?? [];
  if (!given) return localStorage.getItem(KEY_NAME) ?? "";
  localStorage.setItem(KEY_NAME, given.slice(1));
  return given.slice(1);
}

/** Shows the task and the line that the address names; false: that task is not there yet. */
function goTo(): boolean {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const task = wanted.get("task");
  if (!task) return true;
  if (!tasks.choose(task)) return false;
  const line = Number(wanted.get("line"));
  if (line > 0) log.goTo(line);
  return true;
}

function connect(): WebSocket {
  const opened = new WebSocket(`ws://${location.host}/dev/socket?key=${key}`);
  opened.binaryType = "arraybuffer";
  let hasGone = false;
  opened.onopen = () => {
    hasConnected = true;
    document.body.classList.remove("gone");
    // The server tells everything anew.
    charts?.clear();
    tasks.clear();
    terminals?.clear();
    log.reload();
    problem("");
  };
  opened.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (data instanceof ArrayBuffer) {
      const { sessionId, bytes } = unframe(data);
      terminals?.write(sessionId, bytes);
      return;
    }
    showAll(JSON.parse(String(data)));
    hasGone ||= goTo();
  };
  opened.onclose = () => {
    document.body.classList.add("gone");
    problem(
      hasConnected
        ? "The connection is lost: trying again every second. Keys that are typed now are lost."
        : NEVER_CONNECTED,
      true,
    );
    setTimeout(() => socket = connect(), RECONNECT_MS);
  };
  return opened;
}

function ask(request: PageRequest): boolean {
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(request));
  return true;
}

function showAll(all: readonly News[]): void {
  const ended = tasks.show(all.flatMap((news) => news.type === "task" ? [news] : []));
  for (const news of all) show(news);
  if (ended.length > 3) announce(`${ended.length} tasks ended`);
  else {
    announce(
      ended.map((task) => `Task ${task.number} ended: ${task.status}, ${figures(task, 0)}`).join(),
    );
  }
}

function show(news: News): void {
  switch (news.type) {
    case "node":
      return showNode(news);
    case "health":
      return state.health(news);
    case "faults":
      return state.faults(news);
    case "samples":
      return charts?.add(news.samples);
    case "task":
      return;
    case "logs":
      return log.add(news.id, news.from, news.entries);
    case "terminal":
      hasOpenedTerminal = true;
      return terminals?.news(news);
    case "violations":
      return showViolations(news.count, news.last);
    case "problem":
      return problem(news.message);
  }
}

function showNode(node: NodeNews): void {
  state.show(node);
  byId("open", HTMLButtonElement).disabled = !node.connected || node.status === "offline";
  byId("reopen", HTMLButtonElement).disabled = !node.connected;
  if (terminals) terminals.isConnected = node.connected;
  if (node.connected && !hasOpenedTerminal && terminals?.size === 0) {
    hasOpenedTerminal = true;
    terminals.open(false);
  }
}

function showViolations(count: number, last: readonly string[]): void {
  const box = byId("violations", HTMLDetailsElement);
  box.hidden = count === 0;
  const title = `The agent has broken the contract ${count === 1 ? "once" : `${count} times`}`;
  box.querySelector("summary")?.replaceChildren(title);
  box.querySelector("ul")?.replaceChildren(...last.map((it) => make("li", {}, it)));
}

function problem(text: string, stays = false): void {
  const box = byId("problem", HTMLElement);
  box.textContent = text;
  box.hidden = text === "";
  clearTimeout(hidingProblem);
  if (!stays && text) hidingProblem = setTimeout(() => box.hidden = true, PROBLEM_MS);
}

function announce(text: string): void {
  if (text) byId("announcement", HTMLElement).textContent = text;
}
