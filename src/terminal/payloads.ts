import * as z from "@zod/zod";
import type { Size } from "./pty.ts";

/** The size of a terminal whose operator names none. */
const DEFAULT_SIZE: Size = { cols: 120, rows: 34 };

const side = (name: string, min: number, max: number, standard: number) =>
  z.int(`${name} must be a whole number`).nullish()
    .transform((value) => value || standard)
    .refine((value) => value >= min && value <= max, `${name} must be from ${min} to ${max}`);

/** It marks processes, so it must not be a part of another one. */
const sessionId = z.guid("sessionId must be a UUID");
const cols = side("cols", 20, 400, DEFAULT_SIZE.cols);
const rows = side("rows", 10, 200, DEFAULT_SIZE.rows);

/** `terminal.start` (contract: Realtime); what else it may bring is left out, for it is kept. */
export const TerminalStart = z.object({
  sessionId,
  cols,
  rows,
  runAsRoot: z.boolean().nullish().transform((value) => value ?? false),
});
/** A parsed {@linkcode TerminalStart}. */
export type TerminalStart = z.infer<typeof TerminalStart>;

/** `terminal.input`; `payload` becomes its bytes. */
export const TerminalInput = z.looseObject({
  sessionId,
  payload: z.string("payload must be base64").transform((text, context) => {
    try {
      return Uint8Array.fromBase64(text);
    } catch {
      context.addIssue({ code: "custom", message: "payload must be base64" });
      return z.NEVER;
    }
  }),
});

/** `terminal.resize`. */
export const TerminalResize = z.looseObject({ sessionId, cols, rows });

/** `terminal.stop`. */
export const TerminalStop = z.looseObject({
  sessionId,
  reason: z.string().nullish().transform((value) => value?.trim() || "stopped by the operator"),
});

/** A parsed {@linkcode TerminalStop}. */
export type TerminalStop = z.infer<typeof TerminalStop>;

/** The session an otherwise unusable event is about, to answer it: it need not be a UUID. */
export const AboutSession = z.looseObject({ sessionId: z.string().min(1).max(200) });
