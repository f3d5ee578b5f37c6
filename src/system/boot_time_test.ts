import assert from "node:assert/strict";
import { bootTime, msSince, msSinceInBoot } from "./boot_time.ts";

Deno.test("a moment is counted from the boot of this machine", async () => {
  const { bootId, ms } = bootTime();
  const args = ["/proc/sys/kernel/random/boot_id", "/proc/uptime"];
  const { stdout } = await new Deno.Command("cat", { args }).output();
  const [kernelsId, uptime = ""] = new TextDecoder().decode(stdout).split("\n");
  assert.equal(bootId, kernelsId);
  assert(Math.abs(ms - parseFloat(uptime) * 1_000) < 60_000, uptime);
  assert.equal(bootTime().bootId, bootId);
});

Deno.test("only what lies before the present moment of the same boot has an age", () => {
  const now = { bootId: "a", ms: 5_000 };
  assert.equal(msSince({ bootId: "a", ms: 2_000 }, now), 3_000);
  assert.equal(msSince({ bootId: "a", ms: 6_000 }, now), undefined);
  assert.equal(msSince({ bootId: "b", ms: 2_000 }, now), undefined);
  assert.equal(msSinceInBoot({ bootId: "b", ms: 2_000 }, now), 3_000);
  assert.equal(msSinceInBoot({ bootId: "a", ms: 6_000 }, now), 0);
  assert((msSince(bootTime()) ?? NaN) < 60_000);
});
