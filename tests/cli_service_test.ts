import assert from "node:assert/strict";
import { dirname } from "@std/path";
import { localTime } from "../src/system/text.ts";
import { CAN_BE_MAPPED, Desk, NEEDS_MAPPING } from "./_cli.ts";

const EVENT = JSON.stringify({
  time: "2026-01-02T03:04:05.678Z",
  level: "info",
  msg: "agent started",
  nodeId: "n1",
});
const INVOCATION = { _SYSTEMD_INVOCATION_ID: "i1", _SYSTEMD_UNIT: "noderax-agent.service" };

/** An entry as `journalctl -o json` shows it; by default the agent has written it. */
function entry(MESSAGE: unknown, fields: Record<string, unknown> = {}): string {
  const stdout = { _TRANSPORT: "stdout", SYSLOG_IDENTIFIER: "noderax-agent" };
  return JSON.stringify({ MESSAGE, _PID: "70", _UID: "0", ...INVOCATION, ...stdout, ...fields }) +
    "\n";
}

/** What systemd says of the service's starts. */
const STARTED = entry("Started the agent.", {
  _PID: "1",
  SYSLOG_IDENTIFIER: "systemd",
  _SYSTEMD_UNIT: "init.scope",
  _SYSTEMD_INVOCATION_ID: undefined,
  _TRANSPORT: "journal",
});
const STARTED_LINE = "systemd[1]: Started the agent.";
const PRETTY = `${localTime("2026-01-02T03:04:05Z")} INFO  agent started nodeId=n1`;

/** What systemd shows of a service in this state. */
function shown(load: string, active: string, sub: string): string {
  return `LoadState=${load}\nActiveState=${active}\nSubState=${sub}\n`;
}

/** A desk whose machine has root at the keyboard, systemd, and a service that is down. */
async function serviceDesk(): Promise<Desk> {
  const desk = await Desk.set();
  desk.user = "root";
  await desk.tool(
    "systemctl",
    `[ "$1" = show ] && exec cat "$here/state"
echo "$*" >>"$here/told"
[ "$1" = start ] && [ -e "$here/fails" ] && { echo "Job failed." >&2; exit 1; }
[ -e "$here/$1" ] && cp "$here/$1" "$here/state"
exit 0`,
  );
  await desk.tool("journalctl", `echo "$*" >>"$here/asked"; cat "$here/journal"`);
  await desk.write("state", shown("loaded", "inactive", "dead"));
  await desk.write("start", shown("loaded", "active", "running"));
  await desk.write("journal", STARTED + entry(EVENT));
  return desk;
}

Deno.test("start, stop and restart tell systemd and say what has come of it", async () => {
  await using desk = await serviceDesk();
  await desk.write("stop", shown("loaded", "inactive", "dead"));
  await desk.write("restart", shown("loaded", "active", "running"));
  const up = { code: 0, stdout: "noderax-agent.service is active (running).\n", stderr: "" };
  const down = { code: 0, stdout: "noderax-agent.service is inactive (dead).\n", stderr: "" };
  assert.deepEqual(await desk.says(["start"]), up);
  assert.deepEqual(await desk.says(["stop"]), down);
  assert.deepEqual(await desk.says(["restart"]), up);
  const told = (await Deno.readTextFile(desk.file("told"))).trim().split("\n");
  const service = "noderax-agent.service";
  assert.deepEqual(told, [
    `reset-failed ${service}`,
    `start ${service}`,
    `stop ${service}`,
    `reset-failed ${service}`,
    `restart ${service}`,
  ]);
});

Deno.test("a start that fails shows the end of the log", async () => {
  await using desk = await serviceDesk();
  await desk.write("fails", "");
  const stderr =
    "noderax-agent: start failed, noderax-agent.service is inactive (dead): Job failed.\n" +
    `The end of its log:\n  ${STARTED_LINE}\n  ${PRETTY}\nMore of it: \`noderax-agent logs\`.\n`;
  assert.deepEqual(await desk.says(["start"]), { code: 1, stdout: "", stderr });
});

Deno.test({
  name: "without root, systemd or a service one sentence says so" + NEEDS_MAPPING,
  ignore: !CAN_BE_MAPPED,
}, async () => {
  await using desk = await serviceDesk();
  const refusal = (sentence: string) => ({
    code: 1,
    stdout: "",
    stderr: `noderax-agent: ${sentence}\n`,
  });
  await desk.write("state", shown("not-found", "inactive", "dead"));
  const missing = refusal("The service is not installed: run `sudo noderax-agent install`.");
  for (const said of await Promise.all([desk.says(["start"]), desk.says(["logs"])])) {
    assert.deepEqual(said, missing);
  }
  await Deno.remove(desk.file("state"));
  const other = refusal(
    "systemd does not run this machine, so there is no service: use `noderax-agent run`.",
  );
  for (const said of await Promise.all([desk.says(["stop"]), desk.says(["logs"])])) {
    assert.deepEqual(said, other);
  }
  desk.user = "another";
  await Promise.all(["start", "stop", "restart"].map(async (action) => {
    const sentence = `This needs root: run \`sudo noderax-agent ${action}\`.`;
    assert.deepEqual(await desk.says([action]), refusal(sentence));
  }));
  await assert.rejects(Deno.stat(desk.file("told")), Deno.errors.NotFound);
});

Deno.test({
  name: "the log is shown for a person, or as the agent's own events" + NEEDS_MAPPING,
  ignore: !CAN_BE_MAPPED,
}, async () => {
  await using desk = await serviceDesk();
  desk.user = "another";
  const [plain, json] = await Promise.all([
    desk.says(["logs", "-n", "20"]),
    desk.says(["logs", "--json", "-n", "20"]),
  ]);
  assert.deepEqual(plain, { code: 0, stdout: `${STARTED_LINE}\n${PRETTY}\n`, stderr: "" });
  assert.deepEqual(json, { code: 0, stdout: `${EVENT}\n`, stderr: "" });
  const asked = (await Deno.readTextFile(desk.file("asked"))).split("\n");
  assert(asked.some((args) => / -u noderax-agent\.service -n 20$/.test(args)), asked.join("\n"));

  await desk.tool("journalctl", "echo no access >&2; exit 1");
  assert.deepEqual(await desk.says(["logs"]), {
    code: 1,
    stdout: "",
    stderr: "no access\nnoderax-agent: this user may not read the service's log: run " +
      "`sudo noderax-agent logs`, or have an administrator add the user to the group " +
      "systemd-journal.\n",
  });
});

Deno.test("what a task writes to the journal passes for no event of the agent", async () => {
  await using desk = await serviceDesk();
  const forged = EVENT.replace("n1", "forged");
  const task = { _PID: "71", SYSLOG_IDENTIFIER: "sh" };
  const journal = [
    STARTED,
    entry(EVENT),
    // systemd-cat, logger, another user's, a whole message of bytes, another unit's.
    entry(forged, task),
    entry(forged, { ...task, _PID: "70", _TRANSPORT: "syslog" }),
    entry(forged, { ...task, _UID: "1000" }),
    entry([...new TextEncoder().encode("\x1b[2Jgone")], task),
    entry(forged, { ...task, _SYSTEMD_UNIT: "cron.service" }),
    // A start of which the journal has dropped the beginning.
    entry(forged, { ...task, _SYSTEMD_INVOCATION_ID: "i0" }),
  ];
  await desk.write("journal", journal.join(""));
  await desk.tool(
    "journalctl",
    'case "$*" in *=i0) grep \'"i0"\' "$here/journal";; *) cat "$here/journal";; esac',
  );
  const [plain, json] = await Promise.all([desk.says(["logs"]), desk.says(["logs", "--json"])]);
  assert.deepEqual(json, { code: 0, stdout: `${EVENT}\n`, stderr: "" });
  const lines = plain.stdout.trimEnd().split("\n");
  assert.deepEqual(lines.slice(0, 3), [STARTED_LINE, PRETTY, `sh[71]: ${forged}`]);
  assert.equal(lines.filter((line) => line.endsWith(`]: ${forged}`)).length, 5);
  assert(lines.includes("sh[71]: \\u001b[2Jgone"), plain.stdout);
  // The service as it runs: its main process is known whatever the journal has dropped.
  await desk.write(
    "state",
    `${shown("loaded", "active", "running")}MainPID=70\nInvocationID=i0\n`,
  );
  await desk.write(
    "journal",
    entry(forged, { ...task, _SYSTEMD_INVOCATION_ID: "i0" }) +
      entry(EVENT, { _SYSTEMD_INVOCATION_ID: "i0" }),
  );
  assert.equal((await desk.says(["logs", "--json"])).stdout, `${EVENT}\n`);
});

Deno.test("a log that is followed ends with its reader, or quietly when interrupted", async () => {
  await using desk = await serviceDesk();
  await desk.tool("journalctl", 'while echo "{\\"MESSAGE\\":\\"tick\\"}"; do sleep 0.02; done');
  await Promise.all((["reader", "interrupt"] as const).map(async (end) => {
    await using child = desk.command(["logs", "-f"]).spawn();
    const stderr = new Response(child.stderr).text();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    assert(new TextDecoder().decode(value).startsWith("?: tick\n"));
    if (end === "reader") await reader.cancel();
    else child.kill("SIGINT");
    assert.equal((await child.status).code, end === "reader" ? 0 : 130);
    if (end === "interrupt") await reader.cancel();
    assert.match(await stderr, /^(.*experimental.*\n)?$/);
  }));
});

/** What bash offers at the end of `line`. */
async function offered(desk: Desk, line: string): Promise<string[]> {
  const script = `. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_noderax_agent; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const words = ["noderax-agent", ...line.split(" ")];
  const { stdout, stderr } = await new Deno.Command("bash", {
    args: ["--norc", "-c", script, "bash", desk.file("c.bash"), ...words],
  }).output();
  assert.equal(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout).trim().split("\n");
}

Deno.test("bash completes commands, options, keys and choices", async () => {
  await using desk = await Desk.set();
  await desk.write("c.bash", (await desk.says(["completions", "bash"])).stdout);
  const cases: [line: string, offers: string[]][] = [
    ["conf", ["config"]],
    ["st", ["start", "stop", "status"]],
    ["--v", ["--version"]],
    ["config ", ["show", "get", "set", "unset", "path", "help"]],
    ["config show --", ["--json", "--reveal", "--help"]],
    ["config show ", ["--json", "--reveal", "-h", "--help"]],
    ["config set log_l", ["log_level"]],
    ["config get log_l", ["log_level"]],
    ["config set log_level ", ["debug", "info", "warn", "error"]],
    ["config set log_level debug ", [""]],
    ["config set realtime_enabled f", ["false"]],
    ["config set state_file /etc/os-rel", ["/etc/os-release"]],
    ["--config /etc/os-rel", ["/etc/os-release"]],
    ["install --log-level w", ["warn"]],
    ["help conf", ["config"]],
    ["config help s", ["show", "set"]],
    ["logs -n 20 --f", ["--follow"]],
    ["completions ", ["bash", "zsh", "fish"]],
    ["xyzzy ", ["enroll", "bootstrap"]],
  ];
  for (const [line, offers] of cases) {
    const all = await offered(desk, line);
    assert.deepEqual(line === "xyzzy " ? all.slice(0, 2) : all, offers, line);
  }
});

/** What each shell runs to print what its script, `$1`, offers at the end of the line `$2`. */
const OFFERING = {
  // The functions that it is given by zsh's own completion print what they are given.
  zsh: `compdef() { :; }
compadd() { shift; print -rl -- "$@"; }
_files() { print -rl -- $words[CURRENT]*(N); }
_describe() { local each; for each in "\${(@P)@[-1]}"; do print -r -- "\${each%%:*}"; done; }
. "$1"; words=("\${(@s: :)2}"); CURRENT=$#words; _noderax_agent`,
  fish: `source "$argv[1]"; complete -C "$argv[2]"`,
};

const OFFERS: [line: string, offers: string[]][] = [
  ["conf", ["config"]],
  ["st", ["start", "status", "stop"]],
  ["config ", ["get", "help", "path", "set", "show", "unset"]],
  ["config show --", ["--help", "--json", "--reveal"]],
  ["config set log_l", ["log_level"]],
  ["config set log_level ", ["debug", "error", "info", "warn"]],
  ["config set log_level debug ", []],
  ["config set realtime_enabled f", ["false"]],
  ["config set state_file /etc/os-rel", ["/etc/os-release"]],
  ["--config /etc/os-rel", ["/etc/os-release"]],
  ["install --log-level w", ["warn"]],
  ["help conf", ["config"]],
  ["config help s", ["set", "show"]],
  ["logs -n 20 --f", ["--follow"]],
  ["completions ", ["bash", "fish", "zsh"]],
];

for (const [shell, script] of Object.entries(OFFERING)) {
  const found = (await new Deno.Command("/bin/sh", { args: ["-c", `command -v ${shell}`] })
    .output()).success;
  const name = `${shell} completes commands, options, keys and choices`;
  Deno.test({ name: name + (found ? "" : ` (ignored: no ${shell})`), ignore: !found }, async () => {
    await using desk = await Desk.set();
    const path = await desk.write("script", (await desk.says(["completions", shell])).stdout);
    const options = shell === "zsh" ? ["-f", "-c", script, "zsh"] : ["-N", "-c", script];
    await Promise.all(OFFERS.map(async ([line, offers]) => {
      const args = [...options, path, `noderax-agent ${line}`];
      const { stdout, stderr } = await new Deno.Command(shell, {
        ...{ args, env: { HOME: dirname(path) } },
      }).output();
      assert.equal(new TextDecoder().decode(stderr), "", line);
      // Behind a tab comes what it is for. What begins otherwise is left out by zsh itself.
      const last = line.split(" ").at(-1) ?? "";
      const words = new TextDecoder().decode(stdout).trim().split("\n")
        .map((word) => word.split("\t")[0] ?? "").filter((word) => word.startsWith(last) && word);
      assert.deepEqual(words.toSorted(), offers, `${shell}: ${line}`);
    }));
  });
}
