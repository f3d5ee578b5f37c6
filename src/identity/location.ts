import type { Config } from "../config/mod.ts";
import type { Location, NodeFacts } from "../control_plane/schemas.ts";
import { readHostFacts } from "../system/host_facts.ts";
import { cloudLocation } from "./cloud_location.ts";

/** The keys of the configuration that tell or find the location. */
export type LocationConfig = Pick<
  Config,
  | "locationDetection"
  | "locationManualRegion"
  | "locationManualZone"
  | "locationManualLatitude"
  | "locationManualLongitude"
>;

/**
 * Where this machine is: as configured, else from the cloud's metadata if that is allowed. Undefined
 * where nothing says so. Takes 2 s at most.
 */
export async function locate(
  config: LocationConfig,
  findInCloud: () => Promise<Location | undefined> = cloudLocation,
): Promise<Location | undefined> {
  return manualLocation(config) ??
    (config.locationDetection === "cloud" ? await findInCloud() : undefined);
}

/** What this machine tells of itself when it becomes a node, its location included. */
export async function readNodeFacts(config: LocationConfig): Promise<NodeFacts> {
  const [facts, location] = await Promise.all([readHostFacts(), locate(config)]);
  return location ? { ...facts, location } : facts;
}

function manualLocation(config: LocationConfig): Location | undefined {
  const {
    locationManualRegion: region,
    locationManualZone: zone,
    locationManualLatitude: latitude,
    locationManualLongitude: longitude,
  } = config;
  if (region === undefined) return undefined;
  return {
    provider: "manual",
    source: "manual",
    region,
    ...(zone === undefined ? {} : { zone }),
    ...(latitude === undefined || longitude === undefined ? {} : { latitude, longitude }),
  };
}
