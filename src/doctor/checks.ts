import { accountChecks } from "./account_checks.ts";
import { apiChecks } from "./api_checks.ts";
import type { Check } from "./check.ts";
import { configChecks } from "./config_checks.ts";
import { fileModeChecks } from "./file_modes.ts";
import { instanceChecks } from "./instance_check.ts";
import { machineChecks } from "./machine_checks.ts";
import { orphanChecks } from "./orphan_check.ts";
import { routeChecks } from "./route_checks.ts";
import { socketChecks } from "./socket_check.ts";
import { storageChecks } from "./storage_checks.ts";
import type { CheckContext } from "./check_context.ts";
import { tlsChecks } from "./tls_check.ts";

/** Everything that doctor looks at, in the order in which it is told. */
export function allChecks(context: CheckContext): Check[] {
  return [
    ...configChecks(context),
    ...fileModeChecks(context),
    ...routeChecks(context),
    ...tlsChecks(context),
    ...apiChecks(context),
    ...socketChecks(context),
    ...instanceChecks(context),
    ...storageChecks(context),
    ...accountChecks(context),
    ...machineChecks(context),
    ...orphanChecks(),
  ];
}
