/** A time for a person: to the second, in the reader's zone, which is named: `… 14:05:09 UTC`. */
export function localTime(at: Date | string): string {
  const time = new Date(at);
  const behindMin = time.getTimezoneOffset();
  const text = new Date(time.getTime() - behindMin * 60_000).toISOString();
  return `${text.slice(0, 19).replace("T", " ")} ${zone(-behindMin)}`;
}

function zone(aheadMin: number): string {
  if (aheadMin === 0) return "UTC";
  const [hours, minutes] = [Math.trunc(Math.abs(aheadMin) / 60), Math.abs(aheadMin) % 60];
  return `${aheadMin < 0 ? "-" : "+"}${two(hours)}${two(minutes)}`;
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}
