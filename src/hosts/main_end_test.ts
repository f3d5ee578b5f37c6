import assert from "node:assert/strict";
import { BusError } from "../system/sd_bus.ts";
import { mainEndOf } from "./main_end.ts";

/** What systemd says of a unit's main process. */
async function endOf(code: number, status: number, active = "active") {
  const properties = new Map<string, string | number>([
    ...[["ExecMainCode", code], ["ExecMainStatus", status], ["ActiveState", active]] as const,
  ]);
  const property = (_unit: string, _face: string, name: string) =>
    Promise.resolve(properties.get(name) ?? "");
  return await mainEndOf({ property }, "noderax-task-x.service");
}

Deno.test("the end of a unit's main process is its code, its signal, or that it is forgotten", async () => {
  const forgotten = { code: undefined, signal: undefined };
  assert.equal(await endOf(0, 0), undefined);
  assert.deepEqual(await endOf(1, 0), { code: 0, signal: undefined });
  assert.deepEqual(await endOf(1, 37), { code: 37, signal: undefined });
  assert.deepEqual(await endOf(2, 9), { code: 137, signal: "SIGKILL" });
  assert.deepEqual(await endOf(3, 11), { code: 139, signal: "SIGSEGV" });
  assert.deepEqual(await endOf(2, 40), { code: 168, signal: undefined });
  assert.deepEqual(await endOf(0, 0, "inactive"), forgotten);
  assert.deepEqual(await endOf(0, 0, "failed"), forgotten);
  const gone = new BusError("org.freedesktop.systemd1.NoSuchUnit", "Unit x.service not loaded.");
  const property = () => Promise.reject(gone);
  assert.deepEqual(await mainEndOf({ property }, "x.service"), forgotten);
});
