import assert from "node:assert/strict";
import { dirname } from "@std/path";
import { readKernelFiles } from "./kernel_files.ts";
import { findTemperatureFiles, highestTemperature } from "./temperature.ts";

Deno.test("the highest of all sensors counts, whatever one of them fails with", async () => {
  const root = await Deno.makeTempDir();
  try {
    const files = {
      "thermal/thermal_zone0/temp": "41000\n",
      "thermal/thermal_zone0/trip_point_0_temp": "99000\n",
      "thermal/cooling_device0/temp": "98000\n",
      "hwmon/hwmon3/temp1_input": "52500\n",
      "hwmon/hwmon3/temp1_crit": "97000\n",
    };
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(dirname(`${root}/${path}`), { recursive: true });
      await Deno.writeTextFile(`${root}/${path}`, text);
    }
    // Reading a sensor may fail although it is there, as reading a folder does.
    await Deno.mkdir(`${root}/thermal/thermal_zone1/temp`, { recursive: true });

    const paths = findTemperatureFiles(root);
    assert.deepEqual(paths.map((path) => path.slice(root.length + 1)), [
      "thermal/thermal_zone0/temp",
      "thermal/thermal_zone1/temp",
      "hwmon/hwmon3/temp1_input",
    ]);
    assert.equal(highestTemperature(await readKernelFiles(paths)), 52.5);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("a machine without sensors has none to read", () => {
  assert.deepEqual(findTemperatureFiles("/nowhere/$(id)"), []);
});

Deno.test("values that no machine can have, and other lines, do not count", () => {
  assert.equal(highestTemperature("eth0: 1 2\n-5000\n127000\n-273200\n255000\n"), -5);
  assert.throws(() => highestTemperature("127000\n"), /no sensor/);
});
