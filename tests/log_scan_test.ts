import assert from "node:assert/strict";
import { join } from "@std/path";
import { Fleet } from "./_agent.ts";
import { Desk } from "./_cli.ts";
import { tell } from "./_together.ts";

const JOURNALCTL = `#!/bin/sh
echo '{"__CURSOR":"c1","__REALTIME_TIMESTAMP":"1000000","MESSAGE":"agent started"}'
`;

async function withJournal(folder: string): Promise<string> {
  const bin = join(folder, "bin");
  await Deno.mkdir(bin);
  await Deno.writeTextFile(join(bin, "journalctl"), JOURNALCTL, { mode: 0o755 });
  return `${bin}:${Deno.env.get("PATH")}`;
}

Deno.test("a scan answers with entries and a cursor, or says in its output what is wrong", async () => {
  await using fleet = await Fleet.start({ task_poll_interval: "500ms" });
  const { controlPlane: cp } = fleet;
  await using agent = await fleet.agent({ PATH: await withJournal(fleet.folder) });
  const scan = async (payload: Record<string, unknown>) => {
    const startMs = performance.now();
    const id = cp.queueTask({
      type: "log.scan",
      payload: { mode: "preview", sourcePresetId: "noderax-agent", limits: {}, ...payload },
    });
    const { status, completion } = await fleet.ended(id);
    tell(`log.scan: ${status} after ${(performance.now() - startMs).toFixed()} ms`);
    assert.equal(completion?.error, status === "failed" ? completion?.output : undefined);
    return { status, sentence: completion?.output, result: JSON.stringify(completion?.result) };
  };
  const { status, result } = await scan({ runAsRoot: false });
  assert.equal(status, "success");
  assert.match(result, /"message":"agent started"/);
  assert.match(result, /"journalCursor":"c1"/);
  assert.match((await scan({ sourcePresetId: "x" })).sentence ?? "", /must be one of syslog, auth/);
  assert.match((await scan({ limits: { maxLines: 1e6 } })).sentence ?? "", /from 0 to 2000/);
  assert.deepEqual(cp.violations, []);
  assert.equal((await agent.stop()).code, 0);
});

Deno.test("log-scan does what a request file asks, and says what is wrong with it", async () => {
  await using desk = await Desk.set();
  await desk.tool("journalctl", JOURNALCTL.split("\n").slice(1).join("\n"));
  const request = { mode: "preview", sourcePresetId: "noderax-agent" };
  const file = await desk.write("request.json", request);
  const { code, stdout } = await desk.says(["log-scan", "--request", file]);
  assert.equal(code, 0);
  assert.equal(JSON.parse(stdout).entries[0].message, "agent started");
  const bad = await desk.write("bad.json", { ...request, mode: "all" });
  assert.match((await desk.says(["log-scan", "--request", bad])).stderr, /mode: must be "preview"/);
  const missing = await desk.says(["log-scan", "--request", desk.file("none.json")]);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /none\.json cannot be read/);
});
