import { outputOf } from "./kernel_files.ts";

/** Prints the path of each sensor; the folder comes as `$1` and is never code. A glob that fits nothing stays itself. */
const FIND = `
for file in "$1"/thermal/thermal_zone*/temp "$1"/hwmon/hwmon*/temp*_input; do
  [ -r "$file" ] && printf '%s\\n' "$file"
done
exit 0`;

/** Sensors that are not connected answer with the ends of their range. */
const PLAUSIBLE_CELSIUS = { above: -40, below: 125 };

/** Finds the files of the machine's temperature sensors; most virtual machines have none. */
export async function findTemperatureFiles(
  signal?: AbortSignal,
  root = "/sys/class",
): Promise<string[]> {
  const paths = await outputOf(["/bin/sh", "-c", FIND, "sh", root], signal);
  return paths.split("\n").filter((path) => path !== "");
}

/**
 * The highest temperature, in °C, of `text`, which holds one value in thousandths of a degree a line
 * as the kernel's sensor files do; other lines are ignored.
 *
 * @throws when there is no plausible one.
 */
export function highestTemperature(text: string): number {
  const temperatures = (text.match(/^-?\d+$/gm) ?? [])
    .map((milli) => Number(milli) / 1_000)
    .filter((celsius) => celsius > PLAUSIBLE_CELSIUS.above && celsius < PLAUSIBLE_CELSIUS.below);
  if (temperatures.length === 0) throw new Error("no sensor gives a plausible value");
  return Math.max(...temperatures);
}
