/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/** The page of `deno task dev`: connects, shows what it is told, asks for what a person wants. */
import { Charts } from "./charts.ts";
import { byId, inWords, make } from "./dom.ts";
import { frame, type News, type NodeNews, type PageRequest, unframe } from "./messages.ts";
import { Tasks } from "./tasks.ts";
import { Terminals } from "./terminals.ts";

const RECONNECT_MS = 1000;
const PROBLEM_MS = 8000;

const charts = new Charts();
const tasks = new Tasks(ask);
const terminals = new Terminals({
  ask,
  type: (sessionId, bytes) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(frame(sessionId, bytes));
  },
  isShortcut: (event) => findShortcut(event) !== undefined,
});
let node: NodeNews | undefined;
let hasOpenedTerminal = false;
let hidingProblem: ReturnType<typeof setTimeout> | undefined;

/** The page's own keys; the browser, the shell and its programs rarely want these. */
const SHORTCUTS = [
  { keys: "Alt+1", code: "Digit1", what: "command", run: () => tasks.focus() },
  { keys: "Alt+2", code: "Digit2", what: "tasks", run: () => tasks.focusList() },
  { keys: "Alt+3", code: "Digit3", what: "terminal", run: () => terminals.focus() },
  { keys: "Alt+Shift+C", code: "KeyC", what: "cancel task", run: () => tasks.cancelNewest() },
  { keys: "Alt+Shift+T", code: "KeyT", what: "new terminal", run: () => terminals.open() },
  { keys: "Alt+Shift+W", code: "KeyW", what: "close it", run: () => terminals.closeShown() },
  { keys: "Alt+Shift+←", code: "ArrowLeft", what: "previous", run: () => terminals.step(-1) },
  { keys: "Alt+Shift+→", code: "ArrowRight", what: "next", run: () => terminals.step(1) },
];

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
for (const { keys, what } of SHORTCUTS) {
  byId("keys", HTMLElement).append(make("span", {}, make("kbd", {}, keys), ` ${what}`));
}

let socket = connect();

function connect(): WebSocket {
  const opened = new WebSocket(`ws://${location.host}/dev/socket?key=${location.hash.slice(1)}`);
  opened.binaryType = "arraybuffer";
  opened.onopen = () => {
    // The server tells everything anew.
    charts.clear();
    tasks.clear();
    terminals.clear();
    problem("");
  };
  opened.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (data instanceof ArrayBuffer) {
      const { sessionId, bytes } = unframe(data);
      terminals.write(sessionId, bytes);
    } else show(JSON.parse(String(data)));
  };
  opened.onclose = () => {
    problem("There is no connection: open the address that `deno task dev` has printed.", true);
    setTimeout(() => socket = connect(), RECONNECT_MS);
  };
  return opened;
}

function ask(request: PageRequest): boolean {
  if (socket.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(request));
  return true;
}

function show(news: News): void {
  switch (news.type) {
    case "node":
      return showNode(news);
    case "samples":
      return charts.add(news.samples);
    case "task":
      return tasks.show(news);
    case "logs":
      return tasks.log(news.id, news.entries);
    case "terminal":
      hasOpenedTerminal = true;
      return terminals.news(news);
    case "violations":
      return showViolations(news.count, news.last);
    case "problem":
      return problem(news.message);
  }
}

function showNode(news: NodeNews): void {
  node = news;
  byId("hostname", HTMLElement).textContent = news.hostname;
  document.title = `${news.hostname}: Noderax agent`;
  const status = byId("status", HTMLElement);
  status.textContent = news.status;
  status.dataset.status = news.status;
  const facts: [string, string | undefined][] = [
    ["Agent", news.agentVersion],
    ["Platform", news.platformVersion],
    ["Kernel", news.kernelVersion],
    ["Realtime", news.connected ? "connected" : "not connected"],
    ["Last seen", ""],
    ["Control plane", news.controlPlane.replace("http://", "")],
  ];
  byId("facts", HTMLElement).replaceChildren(
    ...facts.map(([name, value]) => {
      const detail = make("dd", { className: name === "Last seen" ? "seen" : "" }, value ?? "–");
      return make("div", {}, make("dt", {}, name), detail);
    }),
  );
  tick();
  byId("open", HTMLButtonElement).disabled = !news.connected || news.status === "offline";
  if (news.connected && !hasOpenedTerminal && terminals.size === 0) {
    hasOpenedTerminal = true;
    terminals.open(false);
  }
}

function tick(): void {
  const seen = document.querySelector("dd.seen");
  const at = node?.lastSeenAt;
  if (seen) seen.textContent = at === undefined ? "never" : `${inWords(Date.now() - at)} ago`;
}
setInterval(tick, 1000);

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

tasks.focus();
