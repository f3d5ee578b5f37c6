import type { ITheme } from "@xterm/xterm";

/** The usual blue cannot be read on a dark screen, nor the usual yellow on a white one. */
const dark: ITheme = {
  background: "#11161d",
  foreground: "#dbe2ea",
  cursor: "#7cc4ff",
  selectionBackground: "#2f4a66",
  black: "#39424e",
  red: "#ff7b72",
  green: "#5ad17f",
  yellow: "#f2c14e",
  blue: "#79b8ff",
  magenta: "#d2a8ff",
  cyan: "#56d4dd",
  white: "#c8d1da",
  brightBlack: "#7d8b99",
  brightRed: "#ffa198",
  brightGreen: "#7ee2a0",
  brightYellow: "#ffd66e",
  brightBlue: "#a5d0ff",
  brightMagenta: "#e2c5ff",
  brightCyan: "#8be9f0",
  brightWhite: "#ffffff",
};
const light: ITheme = {
  background: "#ffffff",
  foreground: "#1b2733",
  cursor: "#0b63b5",
  selectionBackground: "#b9d9f7",
  black: "#1b2733",
  red: "#b3261e",
  green: "#1a7431",
  yellow: "#8a5a00",
  blue: "#0b57a4",
  magenta: "#8b2a8b",
  cyan: "#0b6e75",
  white: "#66707a",
  brightBlack: "#66707a",
  brightRed: "#c5352c",
  brightGreen: "#218a3d",
  brightYellow: "#a06b00",
  brightBlue: "#1a6fc4",
  brightMagenta: "#a23ba2",
  brightCyan: "#12808a",
  brightWhite: "#1b2733",
};

/** Whether the page is dark. */
export const isDark = matchMedia("(prefers-color-scheme: dark)");
/** The colours that go with the page. */
export const theme = (): ITheme => isDark.matches ? dark : light;
/** Whether a person wants to see nothing move. */
export const wantsCalm = matchMedia("(prefers-reduced-motion: reduce)");
