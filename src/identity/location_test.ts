import assert from "node:assert/strict";
import { join } from "@std/path";
import { configSchema, loadConfig } from "../config/mod.ts";
import type { Location } from "../control_plane/schemas.ts";
import { Logger } from "../system/logger.ts";
import { locate } from "./location.ts";
import { LocationReport } from "./location_report.ts";

const CLOUD: Location = { provider: "aws", source: "cloud_metadata", region: "eu-central-1" };
const MANUAL = { provider: "manual", source: "manual", region: "cellar" };
const HOUR_MS = 3_600_000;

Deno.test("what is configured comes first, and the cloud is asked only where that is allowed", async () => {
  const found = (keys: Record<string, unknown>) =>
    locate(configSchema.parse(keys), () => Promise.resolve(CLOUD));
  const locationManualRegion = "cellar";
  assert.equal(await found({}), undefined);
  assert.deepEqual(await found({ locationDetection: "cloud" }), CLOUD);
  assert.deepEqual(await found({ locationDetection: "cloud", locationManualRegion }), MANUAL);
  assert.equal(await found({ locationManualZone: "a", locationManualLatitude: 1 }), undefined);
  const whole = {
    locationManualRegion,
    locationManualZone: "rack 3",
    locationManualLatitude: "-33.87",
    locationManualLongitude: 0,
  };
  assert.deepEqual(await found(whole), {
    ...MANUAL,
    zone: "rack 3",
    latitude: -33.87,
    longitude: 0,
  });
  const { locationManualLongitude: _, ...half } = whole;
  assert.deepEqual(await found(half), { ...MANUAL, zone: "rack 3" });
});

Deno.test("keys of a location that are not used are warned of", async () => {
  const warnings = async (variables: Record<string, string>) =>
    (await loadConfig({ env: (name) => variables[name], searchPath: [], installed: "/nowhere" }))
      .warnings;
  assert.match(String(await warnings({ LOCATION_MANUAL_ZONE: "a" })), /region is not set/);
  const LOCATION_MANUAL_REGION = "cellar";
  const half = { LOCATION_MANUAL_REGION, LOCATION_MANUAL_LATITUDE: "1" };
  assert.match(String(await warnings(half)), /set both, or neither/);
  assert.deepEqual(await warnings({ ...half, LOCATION_MANUAL_LONGITUDE: "1" }), []);
});

Deno.test("a refusal is remembered for a day, over restarts, for that control plane", async () => {
  const folder = await Deno.makeTempDir({ prefix: "location_" });
  try {
    let nowMs = Date.UTC(2026, 0, 1);
    let looked = 0;
    const path = join(folder, "location_refused.json");
    const keptWhenSaid: string[] = [];
    const write = () => void keptWhenSaid.push(Deno.readTextFileSync(path));
    const open = (apiUrl = "https://host") =>
      LocationReport.open({
        path,
        apiUrl,
        find: () => Promise.resolve(looked++ ? CLOUD : undefined),
        logger: new Logger({ write }),
        now: () => nowMs,
      });
    const report = await open();
    assert.equal(await report.current(), undefined);
    assert.equal(await report.current(), undefined);
    assert.equal(looked, 1, "it is not looked for with each connection");
    nowMs += HOUR_MS;
    assert.deepEqual(await report.current(), CLOUD);
    await report.refused();
    assert.match(keptWhenSaid.join(), /refusedAt/);
    assert.equal(await report.current(), undefined);
    assert.deepEqual(await (await open("https://other")).current(), CLOUD);
    nowMs += 23 * HOUR_MS;
    assert.equal(await (await open()).current(), undefined);
    nowMs += HOUR_MS;
    assert.deepEqual(await (await open()).current(), CLOUD);
    assert.deepEqual(await report.current(), CLOUD);
    nowMs -= 48 * HOUR_MS;
    assert.deepEqual(await (await open()).current(), CLOUD, "the clock was set back");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
