import assert from "node:assert/strict";
import { join } from "@std/path";
import { type AgentProcess, Fleet } from "./_agent.ts";
import { agentCommand } from "./_command.ts";
import { eventually } from "./_processes.ts";
import { privileged, SecondUser, sh } from "./_second_user.ts";

/** A machine on which one program never answers; what hangs is a `sleep` that can be told apart. */
class HungMachine implements AsyncDisposable {
  /** The PATH on which the program is found first. */
  readonly path: string;
  readonly #folder: string;
  /** What the `sleep` is told. */
  readonly seconds: string;

  private constructor(folder: string, seconds: string) {
    this.#folder = folder;
    this.seconds = seconds;
    this.path = `${folder}:${Deno.env.get("PATH")}`;
  }

  /** In front of the call that hangs, `script` may come. */
  static async make(program: string, script = ""): Promise<HungMachine> {
    const folder = await Deno.makeTempDir({ prefix: "hung_" });
    const seconds = `1000.${crypto.getRandomValues(new Uint32Array(1))}`;
    const text = `#!/bin/sh\n${script}\nexec sleep ${seconds}\n`;
    await Deno.writeTextFile(join(folder, program), text, { mode: 0o755 });
    await Deno.chmod(folder, 0o755);
    return new HungMachine(folder, seconds);
  }

  /** How many processes hang. */
  async hanging(): Promise<number> {
    return Number(await sh('pgrep -c -f "^sleep $1" || true', this.seconds));
  }

  /** Resolves when `count` processes hang. */
  async hangs(count: number): Promise<void> {
    await eventually(`${count} that hang`, async () => await this.hanging() === count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await sh('pkill -KILL -f "^sleep $1" || true', this.seconds);
    await Deno.remove(this.#folder, { recursive: true });
  }
}

privileged(
  "a look at a folder or a shell that does not answer is the task's to be ended",
  async () => {
    await using user = await SecondUser.make();
    // All that is run as another user passes through it.
    await using machine = await HungMachine.make(
      "setpriv",
      `[ "$1" != --help ] || exec /usr/bin/setpriv --help`,
    );
    await using fleet = await Fleet.start({ run_as_user: user.name, shutdown_timeout: "1s" });
    await using agent = await fleet.agent({ PATH: machine.path });
    const elsewhere = { working_dir: "/", shell: "/bin/bash" };

    const limited = fleet.shell("true", { ...elsewhere, timeout: "0.5s" });
    const { completion } = await fleet.ended(limited);
    assert.match(completion?.error ?? "", /time limit/);
    await machine.hangs(0);

    const cancelled = fleet.shell("true", elsewhere);
    await machine.hangs(1);
    fleet.controlPlane.cancelTask(cancelled);
    assert.equal((await fleet.ended(cancelled)).status, "cancelled");
    await machine.hangs(0);

    const stopped = fleet.shell("true", elsewhere);
    await machine.hangs(1);
    assert.equal((await agent.stop()).code, 0);
    assert.equal((await fleet.ended(stopped)).status, "failed");
    await machine.hangs(0);
    assert.deepEqual(fleet.controlPlane.violations, []);
  },
);

privileged("a user database that does not answer keeps no agent from stopping", async () => {
  await using machine = await HungMachine.make("getent");
  await using fleet = await Fleet.start({ run_as_user: "daemon" });
  await using agent: AgentProcess = fleet.spawnAgent({ PATH: machine.path });
  await machine.hangs(1);
  assert.equal((await agent.stop()).code, 0);
  assert.equal(agent.logged("agent stopped before its start was complete").length, 1);
  await machine.hangs(0);
});

privileged("doctor that is interrupted leaves nothing of a profile that hangs", async () => {
  await using user = await SecondUser.make();
  await using machine = await HungMachine.make("unused");
  const hung = `[ -t 0 ] || exec sleep ${machine.seconds}\n`;
  await Deno.writeTextFile(join(user.home, ".profile"), hung);
  await using fleet = await Fleet.start({ run_as_user: user.name });
  const doctor = agentCommand(["doctor", "--json"], {
    env: { NODERAX_CONFIG_FILE: fleet.configFile },
  }).spawn();
  await machine.hangs(1);
  doctor.kill("SIGINT");
  const { code, stderr } = await doctor.output();
  assert.equal(code, 130);
  assert.match(new TextDecoder().decode(stderr), /The checks were interrupted\./);
  await machine.hangs(0);
});
