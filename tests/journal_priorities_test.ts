import assert from "node:assert/strict";
import { join } from "@std/path";
import { Fleet } from "./_agent.ts";
import { agentCommand } from "./_command.ts";

/** The first line of the log of an agent whose output is a file; `stream` is what systemd says of it. */
async function firstLine(fleet: Fleet, stream: string): Promise<string> {
  // An enrollment that has ended ends the agent, after a line.
  await fleet.configure({ agent_token: "", node_id: "", enrollment_token: "nobody-knows" });
  const log = join(fleet.folder, "log");
  // As systemd: the file is the output, and its device and inode are told.
  const script = `exec >"$0"; JOURNAL_STREAM=${stream} exec "$@"`;
  const { stderr } = await agentCommand(["run"], {
    env: { NODERAX_CONFIG_FILE: fleet.configFile, LOG_LEVEL: "info" },
    through: ["/bin/sh", "-c", script, log],
  }).output();
  const text = await Deno.readTextFile(log);
  return text.split("\n")[0] ?? new TextDecoder().decode(stderr);
}

Deno.test("lines for the journal begin with their priority, others do not", async () => {
  await using fleet = await Fleet.start();
  assert.match(await firstLine(fleet, "$(stat -Lc %d:%i /proc/$$/fd/1)"), /^<6>\{"time"/);
  assert.match(await firstLine(fleet, "1:1"), /^\{"time"/);
});
