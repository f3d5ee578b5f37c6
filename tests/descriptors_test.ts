import assert from "node:assert/strict";
import { join } from "@std/path";
import { AgentProcess } from "./_agent.ts";
import { FETCHED } from "./_command.ts";
import { examine } from "./_doctor.ts";
import { textOf } from "./_processes.ts";
import { exited, leavesWell, realtimeFleet } from "./_realtime.ts";
import { outputOf } from "./_shell.ts";

Deno.test("what the agent was started with is open in no task, no terminal and no check", async () => {
  await using fleet = await realtimeFleet();
  const secret = join(fleet.folder, "secret");
  await Deno.writeTextFile(secret, "s3cret");
  // The one that a shell can name, one that is far away, and a pipe.
  const open = 'exec 9<"$0"; exec bash -c \'exec 200<"$0" 7> >(cat); exec "$@"\' "$0" "$@"';
  const through = ["/bin/sh", "-c", open, secret];
  const env = { HOME: fleet.folder, SHELL: "/bin/bash", ...FETCHED };
  await using agent = new AgentProcess(fleet.configFile, { env, through });
  await agent.waitForLog("realtime session is up");

  const LOOK = "ls -l /proc/$$/fd; true";
  const targets = (listed: string) =>
    [...listed.matchAll(/ \d+ -> (\S+)\r?$/gm)].map(([, target = ""]) => target.split(":")[0]);
  for (const payload of [{}, { working_dir: "/", shell: "/bin/bash" }]) {
    const open = targets(await outputOf(fleet, LOOK, payload));
    assert.deepEqual(open, ["/dev/null", "pipe", "pipe"]);
  }

  const terminal = fleet.controlPlane.realtime.openTerminal({ cols: 200, rows: 40 });
  await terminal.waitForText(/[#$] $/);
  terminal.input(`${LOOK}; echo en''d; exit\n`);
  await terminal.waitForText(/end\r\n/);
  const shown = targets(terminal.text);
  const others = shown.filter((what) => !what?.startsWith("/dev/pts/"));
  assert(shown.length > 2 && others.length === 0, terminal.text);
  await exited(terminal);
  await leavesWell(fleet, agent);

  const seen = join(fleet.folder, "seen");
  await Deno.writeTextFile(
    join(fleet.folder, ".profile"),
    `ls -l /proc/$$/fd >${seen}\n`,
  );
  assert.match((await examine(fleet.configFile, { env, through })).of("shell"), /^ok/);
  assert.match(await textOf(seen), / 0 -> \/dev\/null$/m);
  assert.doesNotMatch(await textOf(seen), / (7|9|200) -> /);
});
