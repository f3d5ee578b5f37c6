import assert from "node:assert/strict";
import { join } from "@std/path";
import { type AgentProcess, Fleet } from "./_agent.ts";
import { eventually } from "./_processes.ts";
import { privileged, SecondUser, sh } from "./_second_user.ts";
import { untilThere } from "./_shell.ts";
import { openFolder } from "./_trust.ts";

/** A fleet whose state folder is there, as an earlier agent has left it. */
async function fleetWithState(): Promise<Fleet> {
  const fleet = await Fleet.start();
  await Deno.mkdir(fleet.tasksFolder, { recursive: true, mode: 0o700 });
  await Deno.chmod(fleet.stateFolder, 0o700);
  return fleet;
}

/** Puts the record of a task there, as promised a moment ago and asked for as root. */
async function plant(fleet: Fleet, owner: string, parts: Record<string, unknown> = {}) {
  const id = crypto.randomUUID();
  const proof = join(fleet.folder, `ran-${id}`);
  const payload = { command: `id -u >${proof}`, runAsRoot: true, rootScope: "task" };
  const task = { id, type: "shell.exec", payload };
  const record = { version: 1, task, claimedAt: new Date().toISOString(), ...parts };
  const path = join(fleet.tasksFolder, `${id}.json`);
  await Deno.writeTextFile(path, JSON.stringify(record));
  await sh('chown "$1:" "$2"', owner, path);
  return { path, hasRun: () => Deno.lstat(proof).then(() => true, () => false) };
}

/** What an agent says that does not start. */
async function refusal(agent: AgentProcess): Promise<string> {
  assert.equal((await agent.ended()).code, 1);
  return agent.otherOutput.join("\n");
}

privileged("a record that a user has put there is neither run nor believed", async () => {
  await using user = await SecondUser.make();
  await using fleet = await fleetWithState();
  const planted = await plant(fleet, user.name);
  const victim = new Deno.Command("setsid", { args: ["sleep", "60"], stdin: "null" }).spawn();
  try {
    const bootId = (await sh("cat /proc/sys/kernel/random/boot_id")).trim();
    const startTicks = await sh(`cut -d" " -f22 /proc/${victim.pid}/stat`);
    const process = { pid: victim.pid, startTicks, bootId };
    const deadly = await plant(fleet, user.name, { process });
    const ended = join(fleet.tasksFolder, "ended.jsonl");
    await sh('touch "$2" && chown "$1:" "$2"', user.name, ended);
    await using agent = await fleet.agent();
    for (const file of [planted.path, deadly.path, ended]) {
      const { problem } = await agent.waitForLog("state file is not used", (e) => e.file === file);
      assert.match(String(problem), /because it belongs to user \d+: look at what it holds/);
    }
    // What is the agent's own goes on.
    assert.equal((await fleet.ended(fleet.shell("true"))).status, "success");
    assert.equal(await planted.hasRun(), false);
    assert.equal(await sh(`ps -o stat= -p ${victim.pid} | grep -v Z | wc -l`), "1");
    assert.equal((await agent.stop()).code, 0);
    assert.equal((await Deno.stat(planted.path)).uid === 0, false);
  } finally {
    victim.kill("SIGKILL");
    await victim.status;
  }
});

privileged("a state folder that a user could write keeps the agent from starting", async () => {
  await using user = await SecondUser.make();
  await using fleet = await fleetWithState();
  const planted = await plant(fleet, user.name);
  const states: [string, RegExp][] = [
    [`chown ${user.name}: ${fleet.tasksFolder}`, /tasks is not used, because .* belongs to user/],
    [`chown root: ${fleet.tasksFolder}; chmod 777 ${fleet.tasksFolder}`, /mode 0777/],
    [`chmod 700 ${fleet.tasksFolder}; chown ${user.name}: ${fleet.stateFolder}`, /belongs to user/],
    [`chown root: ${fleet.stateFolder}; chmod 770 ${fleet.stateFolder}`, /others .*mode 0770/],
    // Who owns a folder above it can put another in its place.
    [`chmod 700 ${fleet.stateFolder}; chown ${user.name}: ${fleet.folder}`, /belongs to user/],
  ];
  // The configuration is somewhere else: it is not what is refused.
  const elsewhere = await openFolder();
  const configFile = join(elsewhere, "config.json");
  await Deno.copyFile(fleet.configFile, configFile);
  for (const [change, sentence] of states) {
    await sh(change);
    await using agent = fleet.spawnAgent({ NODERAX_CONFIG_FILE: configFile });
    assert.match(await refusal(agent), sentence);
    assert.equal(await planted.hasRun(), false);
  }
  await Deno.remove(elsewhere, { recursive: true });
});

privileged(
  "no file of the state is reached through a link, or believed if a user owns it",
  async () => {
    await using user = await SecondUser.make();
    await using fleet = await fleetWithState();
    const victim = join(fleet.folder, "victim");
    await Deno.writeTextFile(victim, "precious");
    const access = join(fleet.stateFolder, "root_access.json");
    await Deno.writeTextFile(
      access,
      JSON.stringify({
        wished: "all",
        profile: "all",
        appliedAt: "2026-01-01T00:00:00Z",
      }),
    );
    await sh('chown "$1:" "$2"', user.name, access);
    const id = crypto.randomUUID();
    for (const name of ["ended.jsonl", "ended.jsonl.corrupt"]) {
      await Deno.symlink(victim, join(fleet.tasksFolder, name));
    }
    await using agent = await fleet.agent();
    await agent.waitForLog("saved root access is lost");
    await agent.waitForLog(
      "state file is not used",
      (e) => String(e.problem).includes("it is a link"),
    );
    fleet.shell(`echo ${id}`, { runAsRoot: true, rootScope: "task" });
    await fleet.ended(fleet.shell("true"));
    assert.equal((await agent.stop()).code, 0);
    assert.equal(await Deno.readTextFile(victim), "precious");

    const lock = join(fleet.stateFolder, "agent.lock");
    await Deno.remove(lock);
    await Deno.symlink(victim, lock);
    await using second = fleet.spawnAgent();
    assert.match(await refusal(second), /agent\.lock is not used, because it is a link/);
  },
);

Deno.test("a lock that is removed lets no second agent in, and is made again", async () => {
  await using fleet = await Fleet.start();
  await using agent = await fleet.agent();
  const lock = join(fleet.stateFolder, "agent.lock");
  await Deno.remove(lock);
  await using second = fleet.spawnAgent();
  assert.match(await refusal(second), /Another agent is running with the state folder/);
  await agent.waitForLog("lock of the state folder was removed and is created again");
  assert.ok((await Deno.stat(lock)).isFile);
  assert.equal((await agent.stop()).code, 0);
});

Deno.test("a state folder that is removed is told of, its tasks are reported, and the agent leaves", async () => {
  await using fleet = await Fleet.start({ shutdown_timeout: "20s" });
  await using agent = await fleet.agent();
  const go = join(fleet.folder, "go");
  const task = fleet.shell(`echo begun; ${untilThere(go)}; echo done`);
  await eventually("the task", () => Promise.resolve(fleet.lines(task).includes("begun")));
  // The agent may put a file into it meanwhile.
  await eventually("its removal", async () => {
    await Deno.remove(fleet.stateFolder, { recursive: true }).catch(() => {});
    return await Deno.lstat(fleet.stateFolder).then(() => false, () => true);
  });
  const { problem } = await agent.waitForLog("state folder is lost");
  assert.match(String(problem), /was removed or replaced while the agent ran/);
  await Deno.writeTextFile(go, "");
  assert.equal((await fleet.ended(task)).status, "success");
  assert.match(await refusal(agent), /has stopped, because .* was removed .*: start it again/);
  // The machine is still enrolled, and the next agent starts.
  const identity = JSON.parse(
    await Deno.readTextFile(join(fleet.stateFolder, "agent_identity.json")),
  );
  assert.equal(identity.node_id, fleet.nodeId);
  await using next = await fleet.agent();
  assert.equal((await next.stop()).code, 0);
});
