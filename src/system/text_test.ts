import assert from "node:assert/strict";

Deno.test("times are shown in the reader's zone, which is named", async () => {
  const script = `import { localTime } from ${JSON.stringify(import.meta.resolve("./text.ts"))};
    console.log(localTime("2026-01-02T23:30:00.9Z"), localTime(new Date(0)));`;
  const zones = {
    "UTC": "2026-01-02 23:30:00 UTC 1970-01-01 00:00:00 UTC",
    "Asia/Kolkata": "2026-01-03 05:00:00 +0530 1970-01-01 05:30:00 +0530",
    "America/New_York": "2026-01-02 18:30:00 -0500 1969-12-31 19:00:00 -0500",
  };
  await Promise.all(
    Object.entries(zones).map(async ([TZ, text]) => {
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", "--no-lock", script],
        env: { TZ },
      }).output();
      assert.equal(new TextDecoder().decode(stdout).trim(), text);
    }),
  );
});
