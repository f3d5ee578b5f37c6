import * as z from "@zod/zod";
import { UserError } from "../system/user_error.ts";
import { formatDuration, formatSize } from "./kinds.ts";
import type { Config, ConfigKey, ConfigValue } from "./schema.ts";

const Value = z.union([z.string(), z.number(), z.boolean()]);

/** A key's value as a file would hold it, durations with their unit; undefined if it is unset. */
export function fileForm(row: ConfigKey, config: Config): ConfigValue | undefined {
  const value = config[row.property];
  return value === undefined ? undefined : written(row, value);
}

/**
 * The value that `text` stands for, as a file is to hold it.
 *
 * Throws a {@linkcode UserError} that says what is allowed; `source` is where the text came from, such
 * as "on the command line".
 */
export function parseValue(row: ConfigKey, text: string, source: string): ConfigValue {
  const parsed = row.schema.safeParse(text);
  if (!parsed.success) throw new UserError(badValueSentence(row, text, source));
  return written(row, parsed.data);
}

/** A value as anybody may see it: without secrets, and without the passwords of URLs. */
export function masked(row: ConfigKey, value: ConfigValue): ConfigValue {
  if (row.secret) return "***";
  return typeof value === "string" ? value.replace(/(:\/\/)[^/]*@/, "$1***@") : value;
}

/** What is wrong with a value, and what would be right. */
export function badValueSentence(row: ConfigKey, value: unknown, source: string): string {
  const shown = row.secret ? '"***"' : showValue(value);
  return `${row.key} is ${shown} ${source}, but must be ${row.allowed}.`;
}

function written(row: ConfigKey, value: unknown): ConfigValue {
  if (typeof value === "number" && row.property.endsWith("Ms")) return formatDuration(value);
  if (typeof value === "number" && row.property.endsWith("Bytes")) return formatSize(value);
  return Value.parse(value);
}

function showValue(value: unknown): string {
  // The password of a URL like https://me:secret@host is nobody's business either.
  const text = JSON.stringify(value).replace(/^("(?:[^"/]*:\/\/)?).*@/, "$1***@");
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
