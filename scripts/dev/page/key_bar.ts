import { byId, make } from "./dom.ts";

const KEYS: [name: string, says: string, text: string][] = [
  ["Esc", "Esc", "\x1b"],
  ["Tab", "Tab", "\t"],
  ["^C", "Control C", "\x03"],
  ["^D", "Control D", "\x04"],
  ["←", "Left", "\x1b[D"],
  ["↑", "Up", "\x1b[A"],
  ["↓", "Down", "\x1b[B"],
  ["→", "Right", "\x1b[C"],
];

/** The keys that a phone does not have. */
export class KeyBar {
  readonly #ctrl = make("button", { type: "button", ariaPressed: "false" }, "Ctrl");

  /** `type` types text into the terminal, `paste` what is on the clipboard. */
  constructor({ type, paste }: { type: (text: string) => void; paste: (text: string) => void }) {
    const bar = byId("key-bar", HTMLElement);
    const add = (button: HTMLButtonElement, run: () => void) => {
      // The keyboard of the phone stays where it is.
      button.addEventListener("pointerdown", (event) => event.preventDefault());
      button.addEventListener("click", run);
      bar.append(button);
    };
    add(this.#ctrl, () => this.#press(this.#ctrl.ariaPressed !== "true"));
    for (const [name, says, text] of KEYS) {
      add(make("button", { type: "button", ariaLabel: says }, name), () => type(text));
    }
    add(make("button", { type: "button" }, "Paste"), () => {
      void navigator.clipboard.readText().then(paste, () => {});
    });
  }

  /** A letter after Ctrl is a control character. */
  translate(event: KeyboardEvent): string | undefined {
    if (this.#ctrl.ariaPressed !== "true" || !/^[a-z@[\]\\]$/i.test(event.key)) return undefined;
    this.#press(false);
    return String.fromCharCode(event.key.toUpperCase().charCodeAt(0) & 31);
  }

  #press(isOn: boolean): void {
    this.#ctrl.ariaPressed = String(isOn);
  }
}
