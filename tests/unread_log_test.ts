import assert from "node:assert/strict";
import { Fleet } from "./_agent.ts";
import { agentCommand, FETCHED } from "./_command.ts";
import { killIfThere } from "./_processes.ts";
import { tell } from "./_together.ts";

/** At debug they make more lines than there is room in a pipe that is nearly full. */
const TASKS = 30;
/** Leaves a pipe of 64 KiB nearly full, and becomes the agent. */
const FILLED = 'head -c 64000 /dev/zero; exec "$@"';

Deno.test("a log that nobody reads holds no task up, and no stop", async () => {
  await using fleet = await Fleet.start({
    log_level: "debug",
    task_poll_interval: "10s",
  });
  const { controlPlane: cp } = fleet;
  const agent = agentCommand(["run"], {
    env: { NODERAX_CONFIG_FILE: fleet.configFile, HOME: fleet.folder, ...FETCHED },
    through: ["/bin/sh", "-c", FILLED, "sh"],
  }).spawn();
  try {
    const ids = Array.from({ length: TASKS }, (_, i) => fleet.shell(`echo ${i}`));
    for (const id of ids) assert.equal((await fleet.ended(id)).status, "success");
    const sinceMs = performance.now();
    agent.kill("SIGTERM");
    assert.equal((await agent.status).code, 0);
    tell(
      `${TASKS} tasks with an unread log; left ${
        (performance.now() - sinceMs).toFixed()
      } ms after SIGTERM`,
    );
    assert.deepEqual(cp.violations, []);
  } finally {
    killIfThere(agent.pid);
    await Promise.all([agent.stdout.cancel(), agent.stderr.cancel()]);
    await agent.status;
  }
});
