/** No answer makes anybody wait for longer, in milliseconds. */
const MAX_MS = 2 * 60_000;

/**
 * For how long a refusal asks to be left alone, in milliseconds; 0 where it does not say. A date is
 * counted from the answer's own: the clocks of two machines may differ.
 */
export function retryAfterMs({ status, headers }: Response): number {
  if (status !== 429 && status !== 503) return 0;
  const asked = headers.get("retry-after")?.trim() ?? "";
  const ms = /^\d+$/.test(asked)
    ? Number(asked) * 1_000
    : Date.parse(asked) - Date.parse(headers.get("date") ?? "");
  return Math.min(Math.max(ms, 0), MAX_MS) || 0;
}
