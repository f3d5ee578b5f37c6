import assert from "node:assert/strict";
import { BusClosedError } from "./bus_message.ts";
import { SdBus } from "./sd_bus.ts";
import { ServiceManager } from "./service_manager.ts";

Deno.test("nobody at the address: the message says what cannot be reached", () => {
  assert.throws(
    () => new SdBus("unix:path=/nowhere/at/all", () => {}),
    (error) => error instanceof BusClosedError && /nowhere|libsystemd/.test(error.message),
  );
});

Deno.test("a machine without systemd: a sentence says why there is no service manager", () => {
  const manager = ServiceManager.open("unix:path=/nowhere/at/all");
  assert(typeof manager === "string");
  assert.match(
    manager,
    /only root may start units|systemd cannot be reached: .*(nowhere|libsystemd)/,
  );
});
