import assert from "node:assert/strict";
import { join } from "@std/path";
import { AgentProcess, Fleet } from "./_agent.ts";
import { eventually, textOf } from "./_processes.ts";
import { leavesWell, realtimeFleet } from "./_realtime.ts";
import { privileged, SecondUser, sh } from "./_second_user.ts";
import { errorOf, outputOf } from "./_shell.ts";

privileged(
  "tasks run as run_as_user: its groups, home and environment, nothing of root's",
  async () => {
    await using user = await SecondUser.make();
    const { name, home } = user;
    await using fleet = await Fleet.start({ run_as_user: name });
    // A program that only the agent finds is none of the task's.
    await Deno.symlink("/bin/sh", join(fleet.folder, "root-sh"));
    const PATH = `${Deno.env.get("PATH")}:${fleet.folder}`;
    await using agent = await fleet.agent({ ENROLLMENT_TOKEN: "a-secret", HOME: "/root", PATH });
    const output = (command: string, payload = {}) => outputOf(fleet, command, payload);

    assert.equal(await output("id"), await user.id());
    assert.equal(await output("pwd"), home);
    assert.equal(await output("pwd", { working_dir: "/usr/share" }), "/usr/share");
    const env = await output("env | sort");
    const names = env.split("\n").map((line) => line.split("=")[0] ?? "");
    const expected = ["AGENT_TASK_ID", "COLUMNS", "HOME", "LOGNAME", "PAGER", "PATH", "PWD"];
    expected.push("SHELL", "SHLVL", "USER", "_", "LANG", "TZ");
    assert.deepEqual(names.filter((each) => !expected.includes(each)), []);
    for (const line of [`HOME=${home}`, `USER=${name}`, `LOGNAME=${name}`, "SHELL=/bin/bash"]) {
      assert(env.split("\n").includes(line), `${line} in\n${env}`);
    }
    const odd = 'it\'s "a"\n$b `c` \\d ';
    assert.equal(
      await output('echo "$ODD|$UID"', { environment: { ODD: odd, UID: 5 } }),
      `${odd}|5`,
    );
    const wide = Object.fromEntries(
      Array.from({ length: 500 }, (_, i) => [`V${i}`, "x".repeat(200)]),
    );
    assert.equal(await output("env | grep -c ^V", { environment: wide }), "500");
    const long = { A: "é".repeat(60_000), B: "🙂".repeat(25_000), C: `'`.repeat(100_000) };
    assert.equal(
      await output("printenv A B C | wc -c", { environment: long }),
      String(120_000 + 100_000 + 100_000 + 3),
    );
    assert.equal(await output("echo out >/dev/stdout; echo err >/dev/stderr"), "out");
    assert.equal(await sh("stat -c %u /dev/null"), "0");

    assert.equal(
      await output(
        "grep -zE '^(a[.]dotted|b-dashed)=' /proc/self/environ | sort -z | tr '\\0' ';'",
        {
          environment: { "a.dotted": "1 '2'", "b-dashed": 2, plain: 3 },
          shell: "/bin/bash",
        },
      ),
      "a.dotted=1 '2';b-dashed=2;",
    );

    // What lives is looked at from outside: neither secrets, nor root's rights, nor the agent's files.
    const sleeper = fleet.shell("echo $$; exec sleep 1000");
    await fleet.controlPlane.waitFor(() => fleet.lines(sleeper)[0], { what: "a process id" });
    const pid = fleet.lines(sleeper)[0] ?? "";
    // While a program takes another's place it has no environment to be seen.
    await eventually("sleep", () => sh('grep -x sleep "/proc/$1/comm" || true', pid));
    const environ = await sh('tr "\\0" "\\n" <"/proc/$1/environ"', pid);
    assert.doesNotMatch(environ, /NODERAX|TOKEN|AGENT_ENVIRONMENT|=\/root/);
    assert(environ.includes(`AGENT_TASK_ID=${sleeper}`));
    assert.match(await sh('grep ^CapEff "/proc/$1/status"', pid), /\b0+$/);
    assert(!(await sh('ls -l "/proc/$1/fd"', pid)).includes(fleet.folder));
    assert.match(await output("cat /root/.profile 2>&1; true"), /Permission denied/);
    assert.match(await output(`cat ${fleet.configFile} 2>&1; true`), /Permission denied/);
    const refused: [object, string][] = [
      [{ shell: "root-sh" }, "payload.shell: there is no program root-sh on this machine"],
      [{ working_dir: "/root" }, "payload.working_dir: the user of this task may not enter /root"],
      // What is in a folder that is closed to the user is not told either.
      [
        { working_dir: "/root/.profile" },
        "payload.working_dir: there is no folder /root/.profile",
      ],
      [
        { working_dir: "/root/nope" },
        "payload.working_dir: there is no folder /root/nope",
      ],
    ];
    for (const [payload, error] of refused) {
      assert.equal(await errorOf(fleet, "pwd", payload), error);
    }
    fleet.controlPlane.cancelTask(sleeper);
    await fleet.ended(sleeper);
    assert.equal((await agent.stop()).code, 0);
    assert.deepEqual(fleet.controlPlane.violations, []);
  },
);

privileged("a task's environment means nothing before the task's user runs it", async () => {
  await using user = await SecondUser.make();
  const traps = join(user.home, "traps");
  const log = join(user.home, "log");
  await Deno.mkdir(traps);
  for (const name of ["env", "setpriv", "runuser", "chown", "cat", "sh", "id"]) {
    const real = (await sh('command -v "$1"', name)).replace(/^(?!\/)/, "/bin/");
    const script = `#!/bin/sh\n/usr/bin/id -u >>${log}\nexec ${real} "$@"\n`;
    await Deno.writeTextFile(join(traps, name), script, { mode: 0o755 });
  }
  await using fleet = await Fleet.start({ run_as_user: user.name });
  await using _agent = await fleet.agent();
  const environment = { PATH: `${traps}:/usr/bin:/bin`, ENV: join(traps, "env") };
  const uid = await sh('id -u "$1"', user.name);
  assert.equal(await outputOf(fleet, `PATH=${traps}:$PATH; id -u`, { environment }), uid);
  assert.deepEqual(new Set((await textOf(log)).trim().split("\n")), new Set([uid]));
});

privileged(
  "what run_as_user's tasks have started is ended with them, however it hides",
  async () => {
    await using user = await SecondUser.make();
    await using fleet = await Fleet.start({ run_as_user: user.name });
    await using _agent = await fleet.agent();
    const id = fleet.shell(
      `sh -c 'trap "" TERM; echo deaf; while :; do sleep 1; done' &
     setsid sh -c 'trap "" TERM HUP; echo session; while :; do sleep 1; done' &
     ( ( setsid sh -c 'echo daemon; exec sleep 1000' & ) & )
     wait`,
    );
    await fleet.controlPlane.waitFor(() => fleet.lines(id).length === 3, {
      what: "three processes",
    });
    assert.equal((await user.processes()).split("\n").length >= 4, true);
    fleet.controlPlane.cancelTask(id);
    assert.equal((await fleet.ended(id)).status, "cancelled");
    assert.equal(await user.processes(), "");
  },
);

privileged(
  "terminals run as run_as_user with all that a terminal has; root's are root's",
  async () => {
    await using user = await SecondUser.make();
    await Deno.writeTextFile(join(user.home, ".bashrc"), "PS1='> '\n");
    await using fleet = await realtimeFleet({ run_as_user: user.name });
    await using agent = await fleet.agent({ HOME: fleet.folder });
    await agent.waitForLog("realtime session is up");
    const { realtime } = fleet.controlPlane;

    const terminal = realtime.openTerminal({ cols: 200, rows: 40 });
    await terminal.waitForText(/> $/);
    const { mode } = await agent.waitForLog("terminal opened");
    assert.equal(mode, "pty+ctty");
    terminal.input(
      "stty -echo; id; pwd; env | grep -E 'NODERAX|TOKEN|ENVIRONMENT|/root'; echo end\r",
    );
    await terminal.waitForText(/^end\r$/m);
    assert(terminal.text.includes(`${await user.id()}\r\n${user.home}\r\nend\r\n`), terminal.text);
    terminal.input("tty | xargs stat -c %U; sleep 1000\r");
    await terminal.waitForText(new RegExp(`^${user.name}\r$`, "m"));
    await eventually("sleep", async () => /sleep 1000/.test(await user.processes()));
    terminal.input("\x03");
    await eventually("Ctrl-C", async () => !/sleep 1000/.test(await user.processes()));
    terminal.input("setsid sh -c 'trap \"\" TERM HUP; sleep 1000; sleep 1000' & echo away\r");
    await terminal.waitForText(/^away\r$/m);
    terminal.stop();
    await terminal.waitFor((t) => t.ended);
    assert.equal(await user.processes(), "");

    const root = realtime.openTerminal({ cols: 80, rows: 24, runAsRoot: true });
    await root.waitForText(/# $/);
    root.input("id -u; echo end\r");
    await root.waitForText(/^0\r\nend\r$/m);
    root.stop();
    await root.waitFor((t) => t.ended);
    await leavesWell(fleet, agent);
  },
);

privileged("an unknown run_as_user keeps the agent from starting", async () => {
  await using fleet = await Fleet.start({ run_as_user: "no-such-user-here" });
  await using agent = fleet.spawnAgent();
  assert.equal((await agent.ended()).code, 1);
  const said = agent.otherOutput.join("\n");
  assert.match(said, /run_as_user is "no-such-user-here", but this machine has no such user/);
  assert.doesNotMatch(said, /\n\s+at /);
});

privileged("an agent that is not root asks sudo, and tells its refusal as what it is", async () => {
  await using user = await SecondUser.make();
  await using fleet = await realtimeFleet({ run_as_user: "daemon" });
  const bin = join(fleet.folder, "bin");
  await Deno.mkdir(bin);
  const stub = '#!/bin/sh\necho "sudo: a password is required" >&2\nexit 1\n';
  await Deno.writeTextFile(join(bin, "sudo"), stub, { mode: 0o755 });
  await sh('chown -R "$1:" "$2"', user.name, fleet.folder);
  // It may read all files, as the sources and Deno may be root's; it may not do more than that.
  const may = "+dac_read_search";
  const through = ["setpriv", "--reuid", user.name, "--regid", user.name, "--init-groups"];
  await user.giveFetched();
  through.push("--inh-caps", may, "--ambient-caps", may, "--");
  const env = { HOME: user.home, PATH: `${bin}:/usr/bin:/bin` };
  await using agent = new AgentProcess(fleet.configFile, { env, through });
  await agent.waitForLog("realtime session is up");

  assert.equal(
    agent.logged("run_as_user has no effect: only root can run commands as another user").length,
    1,
  );
  assert.equal(await outputOf(fleet, "id -un"), user.name);
  const refusal = /^sudo refuses to run this as root: a password is required \(.*sudoers/;
  assert.match(await errorOf(fleet, "id", { runAsRoot: true, rootScope: "task" }), refusal);
  const root = fleet.controlPlane.realtime.openTerminal({ cols: 80, rows: 24, runAsRoot: true });
  await root.waitFor((t) => t.ended);
  assert.match(root.error ?? "", /sudo refuses to run this as root: a password is required/);
  await Deno.remove(join(bin, "sudo"));
  assert.match(
    await errorOf(fleet, "id", { runAsRoot: true, rootScope: "task" }),
    /^sudo refuses .*: (not found|No such file)/,
  );
  await leavesWell(fleet, agent);
});
