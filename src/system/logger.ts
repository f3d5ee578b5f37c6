import { localTime, visible } from "./text.ts";

/** How much is logged: each level includes those to its right. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** What varies in a log event, beside its fixed message. */
export type LogFields = Record<string, unknown>;

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const COLOR: Record<LogLevel, string> = { debug: "2", info: "36", warn: "33", error: "31" };
/** The priorities of syslog. */
const PRIORITY: Record<LogLevel, string> = { debug: "<7>", info: "<6>", warn: "<4>", error: "<3>" };
const REDACTED = "[redacted]";
/** How long the last lines may take, in milliseconds. */
const FLUSH_MS = 1_000;

/** Where a {@linkcode Logger} writes and how. */
export interface LoggerOptions {
  /** The least level that is written; `info` by default. */
  level?: LogLevel;
  /** Lines for a person instead of JSON. */
  pretty?: boolean;
  /** Priorities before lines of JSON, as systemd takes them off again: `<3>`. */
  priorities?: boolean;
  /** ANSI colours in pretty lines. */
  color?: boolean;
  /** Takes one finished line, newline included. */
  write: (line: string) => void;
  /** Resolves when all lines have been written, at the latest after so many milliseconds. */
  flush?: (limitMs: number) => Promise<void>;
  /** The wall clock. */
  now?: () => Date;
}

interface Shared extends Required<LoggerOptions> {
  secrets: Set<string>;
}

/**
 * Structured logs: one JSON object a line with `time` (RFC 3339), `level`, `msg`
 * and the event's fields, or a readable line on a terminal.
 *
 * Children made by {@linkcode Logger.with} share level, sink and secrets.
 */
export class Logger {
  readonly #shared: Shared;
  readonly #fields: LogFields;

  /** Makes the root logger. */
  constructor(options: LoggerOptions, parent?: { shared: Shared; fields: LogFields }) {
    this.#shared = parent?.shared ?? {
      level: options.level ?? "info",
      pretty: options.pretty ?? false,
      color: options.color ?? false,
      priorities: options.priorities ?? false,
      write: options.write,
      flush: options.flush ?? (() => Promise.resolve()),
      now: options.now ?? (() => new Date()),
      secrets: new Set(),
    };
    this.#fields = parent?.fields ?? {};
  }

  /** A logger that adds `fields` to each of its events. */
  with(fields: LogFields): Logger {
    return new Logger(this.#shared, {
      shared: this.#shared,
      fields: { ...this.#fields, ...fields },
    });
  }

  /** Waits until what was logged has been written, for a limited time: before the process ends. */
  async flush(limitMs = FLUSH_MS): Promise<void> {
    await this.#shared.flush(limitMs);
  }

  /** Changes the level of this logger and all of its relatives. */
  setLevel(level: LogLevel): void {
    this.#shared.level = level;
  }

  /** From now on `secret` is written as `[redacted]`, wherever it turns up. */
  hide(secret: string | undefined): void {
    if (!secret) return;
    this.#shared.secrets.add(secret);
    // As it looks inside JSON.
    this.#shared.secrets.add(JSON.stringify(secret).slice(1, -1));
  }

  /** Logs what only a developer wants to see. */
  debug(msg: string, fields?: LogFields): void {
    this.#log("debug", msg, fields);
  }

  /** Logs the ordinary course of things. */
  info(msg: string, fields?: LogFields): void {
    this.#log("info", msg, fields);
  }

  /** Logs what the agent copes with, but somebody should know. */
  warn(msg: string, fields?: LogFields): void {
    this.#log("warn", msg, fields);
  }

  /** Logs what the agent could not do. */
  error(msg: string, fields?: LogFields): void {
    this.#log("error", msg, fields);
  }

  #log(level: LogLevel, msg: string, fields: LogFields = {}): void {
    const shared = this.#shared;
    if (RANK[level] < RANK[shared.level]) return;
    const all = { ...this.#fields, ...fields };
    const time = shared.now().toISOString();
    let line = shared.pretty
      ? prettyLine(time, level, msg, all, shared.color)
      : JSON.stringify({ time, level, msg, ...all }, plainErrors);
    for (const secret of shared.secrets) line = line.replaceAll(secret, REDACTED);
    shared.write(`${shared.priorities ? PRIORITY[level] : ""}${line}\n`);
  }
}

/**
 * An event for a person, without the line's end, its time in the reader's zone; `time` as RFC 3339
 * has it, `color` by ANSI codes.
 */
export function prettyLine(
  time: string,
  level: LogLevel,
  msg: string,
  fields: LogFields,
  color: boolean,
): string {
  const name = level.toUpperCase().padEnd(5);
  const shown = color ? `\x1b[${COLOR[level]}m${name}\x1b[0m` : name;
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      const text = typeof value === "string" ? value : JSON.stringify(value, plainErrors);
      const quoted = /[\s"\p{Cc}]/u.test(text) && typeof value === "string";
      return visible(`${key}=${quoted ? JSON.stringify(text) : text}`);
    });
  return [localTime(time), shown, visible(msg), ...rest].join(" ");
}

/** Errors have no own enumerable properties: JSON would show `{}`. */
function plainErrors(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const cause = value.cause instanceof Error ? `: ${value.cause.message}` : "";
  return value.message + (value.message.includes(cause) ? "" : cause);
}
