import { cString, type Libc, O_CLOEXEC, openLibc, readKernelFolder } from "../system/libc.ts";

/** The folders of the kernel's that hold sensors, and what a sensor's file is called there. */
const PLACES = [
  { folder: "thermal", device: /^thermal_zone/, file: /^temp$/ },
  { folder: "hwmon", device: /^hwmon/, file: /^temp.*_input$/ },
];

/** Sensors that are not connected answer with the ends of their range. */
const PLAUSIBLE_CELSIUS = { above: -40, below: 125 };

/** Finds the files of the machine's temperature sensors; most virtual machines have none. */
export function findTemperatureFiles(root = "/sys/class"): string[] {
  using libc = openLibc();
  const names = (path: string, wanted: RegExp) =>
    (readKernelFolder(libc, path) ?? []).filter((name) => wanted.test(name)).sort()
      .map((name) => `${path}/${name}`);
  return PLACES.flatMap(({ folder, device, file }) =>
    names(`${root}/${folder}`, device).flatMap((path) => names(path, file))
  ).filter((path) => isReadable(libc, path));
}

function isReadable({ symbols }: Libc, path: string): boolean {
  const fd = symbols.open(cString(path), O_CLOEXEC, 0);
  if (fd >= 0) symbols.close(fd);
  return fd >= 0;
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
