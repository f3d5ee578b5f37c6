import { type LocatedConfig, namedConfig, type ReadEnv } from "../config/mod.ts";
import { INSTALLED } from "../system/paths.ts";
import { complain } from "./output.ts";

/** Whether the configuration is the service's, or was named; or there is none. */
export function isUsualConfig(
  { path, exists }: Pick<LocatedConfig, "path" | "exists">,
  env?: ReadEnv,
): boolean {
  const named = namedConfig(env ? { env } : {});
  return !exists || path === INSTALLED.config || named !== undefined;
}

/**
 * Says which configuration a command goes by, unless it is the service's or was named, and which
 * files it has passed over.
 */
export function tellWhichConfig(
  { path, exists, passedOver }: LocatedConfig,
): void {
  passedOver.forEach(complain);
  if (!isUsualConfig({ path, exists })) {
    complain(`the configuration is ${path}: it was found, not named.`);
  }
}
