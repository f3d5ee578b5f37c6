import { byId, make } from "./dom.ts";
import type { PageRequest } from "./messages.ts";

const HISTORY_KEY = "history";
const MAX_HISTORY = 200;

/** How a type of task is asked for. */
interface Form {
  name: string;
  hint: string;
  /** What is offered. */
  offers?: string[];
  /** Nothing need be typed. */
  isEmpty?: true;
  payload: (text: string) => { type: string; payload: Record<string, unknown> };
}

const names = (type: string) => (text: string) => {
  const all = text.split(/[\s,]+/).filter((it) => it);
  return { type, payload: { names: all, packages: all } };
};
const FORMS: Form[] = [
  {
    name: "shell",
    hint: "A shell command, e.g. uname -a",
    payload: (command) => ({ type: "shell.exec", payload: { command } }),
  },
  {
    name: "packageList",
    hint: "Nothing to say: all packages",
    isEmpty: true,
    payload: () => ({ type: "packageList", payload: {} }),
  },
  {
    name: "packageSearch",
    hint: "A word, e.g. ripgrep",
    payload: (query) => ({ type: "packageSearch", payload: { query, term: query } }),
  },
  { name: "packageInstall", hint: "Names, e.g. jq curl", payload: names("packageInstall") },
  { name: "packageRemove", hint: "Names, e.g. jq curl", payload: names("packageRemove") },
  { name: "packagePurge", hint: "Names, e.g. jq curl", payload: names("packagePurge") },
  {
    name: "log.scan",
    hint: "A preset, e.g. syslog",
    offers: ["syslog", "auth.log", "kern.log", "noderax-agent"],
    payload: (sourcePresetId) => ({
      type: "log.scan",
      payload: { mode: "preview", sourcePresetId, limits: {}, runAsRoot: false },
    }),
  },
  {
    name: "other",
    hint: 'TYPE {JSON}, e.g. shell.exec {"command": "id", "timeout": "5s"}',
    payload: (text) => {
      const [, type = "", json = "{}"] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
      const payload: unknown = JSON.parse(json || "{}");
      if (typeof payload !== "object" || payload === null) throw new Error("a payload is {…}");
      return { type, payload: { ...payload } };
    },
  },
];

/** The box to run a task. */
export class RunForm {
  readonly #ask: (request: PageRequest) => boolean;
  readonly #problem: (text: string) => void;
  readonly #asked: () => void;
  readonly #type = byId("type", HTMLSelectElement);
  readonly #input = byId("command", HTMLInputElement);
  readonly #offers = make("datalist", { id: "offers" });
  readonly #history: string[] = readHistory();
  /** Where in the history a person is; its length: at what was typed. */
  #at = this.#history.length;
  #typed = "";

  constructor(
    ask: (request: PageRequest) => boolean,
    { problem, asked }: { problem: (text: string) => void; asked: () => void },
  ) {
    this.#ask = ask;
    this.#problem = problem;
    this.#asked = asked;
    this.#type.append(...FORMS.map(({ name }) => make("option", {}, name)));
    this.#type.addEventListener("change", () => this.#changed());
    this.#input.after(this.#offers);
    this.#input.setAttribute("list", "offers");
    byId("run", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#run();
    });
    this.#input.addEventListener("keydown", (event) => {
      if (this.#offers.childElementCount > 0) return;
      if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
      event.preventDefault();
      this.#recall(event.key === "ArrowUp" ? -1 : 1);
    });
    this.#changed();
  }

  /** Puts the cursor into the box. */
  focus(): void {
    this.#input.focus();
    this.#input.select();
  }

  get #form(): Form | undefined {
    return FORMS[this.#type.selectedIndex];
  }

  #changed(): void {
    const { hint = "", offers = [], isEmpty = false } = this.#form ?? {};
    this.#input.placeholder = hint;
    this.#input.disabled = isEmpty;
    this.#offers.replaceChildren(...offers.map((value) => make("option", { value })));
  }

  #run(): void {
    const form = this.#form;
    const text = this.#input.value.trim();
    if (!form || (!text && !form.isEmpty)) return;
    try {
      const { type, payload } = form.payload(text);
      if (!this.#ask({ type: "run", task: type, payload })) return;
      this.#asked();
    } catch (thrown) {
      return this.#problem(`That is not TYPE {JSON}: ${String(thrown)}`);
    }
    const line = `${form.name}\t${text}`;
    if (this.#history.at(-1) !== line) this.#history.push(line);
    this.#history.splice(0, this.#history.length - MAX_HISTORY);
    this.#at = this.#history.length;
    localStorage.setItem(HISTORY_KEY, JSON.stringify(this.#history));
    this.#input.value = "";
  }

  #recall(step: number): void {
    if (this.#at === this.#history.length) this.#typed = this.#input.value;
    this.#at = Math.max(0, Math.min(this.#history.length, this.#at + step));
    const [name, text] = this.#history[this.#at]?.split("\t") ?? [];
    if (name) this.#type.value = name;
    this.#changed();
    this.#input.value = text ?? this.#typed;
  }
}

function readHistory(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(HISTORY_KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((it) => typeof it === "string") : [];
  } catch {
    return [];
  }
}
