import assert from "node:assert/strict";
import * as z from "@zod/zod";
import project from "../deno.json" with { type: "json" };
import { CONFIG_KEYS, parseValue } from "../src/config/mod.ts";
import { CAN_BE_MAPPED, Desk, NEEDS_MAPPING } from "./_cli.ts";
import { agentCommand, FROM_SOURCE } from "./_command.ts";

/** How each of these is asked for, and its subcommands. */
const COMMANDS = [
  "enroll",
  "run",
  "install",
  "uninstall",
  "start",
  "stop",
  "restart",
  "status",
  "logs",
  "config",
  "config show",
  "config get",
  "config set",
  "config unset",
  "config path",
  "doctor",
  "version",
  "completions",
];

const NODE_ID = "b7f88611-b63e-4c95-9f37-4afb5c0cf275";

/** Texts that are saved in another form than that of the keys' examples, and that form. */
const SETTINGS: Record<string, [text: string, value: unknown]> = {
  api_url: ["http://127.0.0.1:2/api/v1", "http://127.0.0.1:2"],
  api_tls_ca_file: ["/etc/ssl/own ca.pem", "/etc/ssl/own ca.pem"],
  enrollment_token: ["-e1-SECRET", "-e1-SECRET"],
  node_id: [NODE_ID, NODE_ID],
  agent_token: [`a1-SECRET-${NODE_ID}`, `a1-SECRET-${NODE_ID}`],
  heartbeat_interval: ["90s", "1m30s"],
  request_timeout: ["0.5m", "30s"],
  max_tasks: ["0", 0],
  log_memory_limit: ["0.5 GiB", "512MiB"],
  realtime_enabled: ["off", false],
  log_level: ["WARNING", "warn"],
};

/** What is said of these, which the agent could not use here. */
const COMPLAINTS: Record<string, RegExp> = {
  api_url: /^\S+ api_url is \S+, but .*refused.* and the network\. The agent .* corrected\.\n$/,
  api_tls_ca_file:
    /^\S+ api_tls_ca_file is .*: name a PEM .* will not work until this is corrected\.\n$/,
};

const Shown = z.object({
  path: z.string(),
  exists: z.boolean(),
  values: z.record(
    z.string(),
    z.object({ value: z.unknown(), source: z.unknown(), problem: z.string().optional() }),
  ),
  unknownKeys: z.array(z.string()),
});

Deno.test("every command has a help with examples and exit codes", async () => {
  await using desk = await Desk.set();
  const asked = ["", ...COMMANDS].map((command) => `${command} --help`.trim().split(" "));
  for (const [at, help] of (await Promise.all(asked.map((args) => desk.says(args)))).entries()) {
    const text = help.stdout;
    assert.equal(help.code, 0, text + help.stderr);
    assert(text.startsWith(["Usage: noderax-agent", COMMANDS[at - 1]].filter(Boolean).join(" ")));
    assert.match(text, /^Options:\n.*-h, --help/ms);
    assert.match(text, /^Examples:\n {2}\$ noderax-agent/m);
    assert.match(text, /^Exit codes: 0 done, 1 failed, 2 usage error\.\n$/m);
    const wide = text.split("\n").filter((line) => line.length > 80 && !line.startsWith("  $ "));
    assert.deepEqual(wide, []);
  }
  const [root, show, again, alone] = await Promise.all([
    desk.says(["help"]),
    desk.says(["help", "config", "show"]),
    desk.says(["config", "help", "show"]),
    desk.says(["config"]),
  ]);
  for (const command of COMMANDS) assert(command.includes(" ") || root.stdout.includes(command));
  assert.match(show.stdout, /^Usage: noderax-agent config show/);
  assert.deepEqual(again, show);
  assert.deepEqual([alone.code, alone.stdout], [2, ""]);
  assert.match(alone.stderr, /^Usage: noderax-agent config/);
});

Deno.test("a usage error is one sentence that suggests the nearest, and exit code 2", async () => {
  await using desk = await Desk.set();
  const cases: [line: string, sentence: string][] = [
    ["confg", "unknown command 'confg' (did you mean config?); see `noderax-agent --help`."],
    ["confg -h", "unknown command 'confg' (did you mean config?); see `noderax-agent --help`."],
    ["help confg", "unknown command 'confg' (did you mean config?); see `noderax-agent --help`."],
    ["stat", "unknown command 'stat' (did you mean status?); see `noderax-agent --help`."],
    ["health", "unknown command 'health' (did you mean status?); see `noderax-agent --help`."],
    [
      "config delete",
      "unknown command 'delete' (did you mean unset?); see `noderax-agent config --help`.",
    ],
    ["xyzzy", "unknown command 'xyzzy'; see `noderax-agent --help`."],
    [
      "config shw",
      "unknown command 'shw' (did you mean show?); see `noderax-agent config --help`.",
    ],
    [
      "logs --folow",
      "unknown option '--folow' (did you mean --follow?); see `noderax-agent logs --help`.",
    ],
    [
      "install --bootstrap-tokne=SECRET",
      "unknown option '--bootstrap-tokne'; see `noderax-agent install --help`.",
    ],
    [
      "status --json --check",
      "option '--check' cannot be used with option '--json'; see `noderax-agent status --help`.",
    ],
    ["status --json=1", "option '--json' takes no value; see `noderax-agent status --help`."],
    ["status --help=1", "option '--help' takes no value; see `noderax-agent status --help`."],
    ["logs -V", "unknown option '-V'; see `noderax-agent logs --help`."],
    [
      "run extra",
      "too many arguments for 'run': expected 0 arguments but got 1; " +
      "see `noderax-agent run --help`.",
    ],
    [
      "config set agent_token a SECRET",
      "too many arguments for 'set': expected 2 arguments but got 3; " +
      "see `noderax-agent config set --help`.",
    ],
    [
      "config set log_level",
      "missing required argument 'value'; see `noderax-agent config set --help`.",
    ],
    ["config set log-levle debug", "There is no key 'log-levle': did you mean log_level?"],
    ["config set xyzzy 1", "There is no key 'xyzzy': `noderax-agent config set --help` lists all."],
    [
      "config set log_level loud",
      'log_level is "loud" on the command line, but must be one of debug, info, warn, error.',
    ],
    [
      "config set agent_token SECRET\n",
      'agent_token is "***" on the command line, ' +
      "but must be text of visible ASCII characters without spaces.",
    ],
    ["logs -n x", '--lines is "x", but must be a whole number such as 20.'],
    ["logs --lines -1", '--lines is "-1", but must be a whole number such as 20.'],
    [
      "completions tcsh",
      "command-argument value 'tcsh' is invalid for argument 'shell': " +
      "allowed choices are bash, zsh, fish; see `noderax-agent completions --help`.",
    ],
  ];
  await Promise.all(cases.map(async ([line, sentence]) => {
    const args = line.split(" ").map((word) => word.replace("\n", " \u00e9"));
    const said = await desk.says(args);
    assert.deepEqual(said, { code: 2, stdout: "", stderr: `noderax-agent: ${sentence}\n` });
  }));
});

Deno.test("the version says what this is", async () => {
  await using desk = await Desk.set();
  const [plain, flag, short, small, json] = await Promise.all([
    desk.says(["version"]),
    desk.says(["--version"]),
    desk.says(["-V"]),
    desk.says(["-v"]),
    desk.says(["version", "--json"]),
  ]);
  assert.equal(plain.code, 0);
  const built = JSON.parse(json.stdout);
  const from = FROM_SOURCE ? "from source" : `commit ${built.commit} of ${built.date}`;
  assert(plain.stdout.startsWith(`noderax-agent ${project.version}\n${from}, Deno `));
  assert.deepEqual([flag, short, small], [plain, plain, plain]);
  assert.deepEqual(built, {
    name: "noderax-agent",
    version: project.version,
    commit: FROM_SOURCE ? null : built.commit,
    date: FROM_SOURCE ? null : built.date,
    deno: Deno.version.deno,
    target: Deno.build.target,
  });
});

Deno.test("every key can be set, and what is set is shown without its secrets", async () => {
  await using desk = await Desk.set();
  const settings = CONFIG_KEYS.map((row): [string, [text: string, value: unknown]] => {
    const asTyped = parseValue(row, row.example, "in its row");
    return [row.key, SETTINGS[row.key] ?? [row.example, asTyped]];
  });
  await Promise.all(settings.map(async ([key, [text, value]]) => {
    const path = await desk.write(`${key}.json`, { colour: 1, [key]: "bad\u00e9 @", shape: {} });
    const said = await desk.says(["config", "set", key, text], { NODERAX_CONFIG_FILE: path });
    const shown = key.endsWith("_token") ? "***" : value;
    const { stderr, ...rest } = said;
    assert.deepEqual(rest, { code: 0, stdout: `Saved ${key} = ${shown} in ${path}.\n` });
    const complaint = COMPLAINTS[key];
    if (complaint) assert.match(stderr, complaint);
    else assert.equal(stderr, "");
    const saved = JSON.stringify({ colour: 1, [key]: value, shape: {} }, null, 2);
    assert.equal(await Deno.readTextFile(path), `${saved}\n`);
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  }));

  const values = Object.fromEntries(settings.map(([key, [, value]]) => [key, value]));
  const path = await desk.write("config.json", { ...values, colour: 1 });
  desk.user = "root";
  const [json, revealed, table, other] = await Promise.all([
    desk.says(["config", "show", "--json"]),
    desk.says(["config", "show", "--json", "--reveal"]),
    desk.says(["config", "show"]),
    desk.says(["config", "show", "--json"], { LOG_LEVEL: "error", NODE_ID: "" }),
  ]);
  const inFile = (secrets: Record<string, unknown>) => ({
    path,
    exists: true,
    values: Object.fromEntries(
      Object.entries({ ...values, ...secrets })
        .map(([key, value]) => [key, { value, source: { file: path } }]),
    ),
    unknownKeys: ["colour"],
  });
  const stars = { enrollment_token: "***", agent_token: "***" };
  assert.deepEqual(JSON.parse(json.stdout), inFile(stars));
  assert.deepEqual(JSON.parse(revealed.stdout), inFile({}));
  assert(table.stdout.startsWith(`file: ${path}\n\napi_url  `));
  assert.match(table.stdout, /^agent_token +\*{3} +file$/m);
  assert.match(table.stdout, /^heartbeat_interval +1m30s +file$/m);
  assert.match(table.stdout, /^unknown keys in the file, which are ignored: colour$/m);
  assert.doesNotMatch(json.stdout + table.stdout, /SECRET/);
  const overridden = Shown.parse(JSON.parse(other.stdout)).values;
  assert.deepEqual(overridden.log_level, { value: "error", source: { env: "LOG_LEVEL" } });
  assert.deepEqual(overridden.node_id, { value: values.node_id, source: { file: path } });
});

Deno.test("without a file the defaults are shown, and setting makes one", async () => {
  await using desk = await Desk.set();
  const path = desk.file("config.json");
  const nested = { NODERAX_CONFIG_FILE: desk.file("new/config.json") };
  const [shown, table, where, set] = await Promise.all([
    desk.says(["config", "show", "--json"]),
    desk.says(["config", "show"]),
    desk.says(["config", "path"]),
    desk.says(["config", "set", "enrollment_token", "--", "-n1"], nested),
  ]);
  const { exists, values } = Shown.parse(JSON.parse(shown.stdout));
  assert.equal(exists, false);
  assert.deepEqual(values.heartbeat_interval, { value: "30s", source: "default" });
  assert.deepEqual(values.node_id, { value: null, source: "default" });
  assert(table.stdout.startsWith(`file: ${path} (does not exist yet)\n`));
  assert.match(table.stdout, /^node_id +\(unset\) +default$/m);
  assert(table.stdout.split("\n").slice(1).every((line) => line.length <= 80), table.stdout);
  const hint = "noderax-agent: there is no such file yet: `noderax-agent config set` creates it.\n";
  assert.deepEqual(where, { code: 0, stdout: `${path}\n`, stderr: hint });
  assert.equal(set.code, 0, set.stderr);
  const made = await Deno.readTextFile(nested.NODERAX_CONFIG_FILE);
  assert.deepEqual(JSON.parse(made), { enrollment_token: "-n1" });
});

Deno.test("a bad value hides no other, and is fixed by setting", async () => {
  await using desk = await Desk.set();
  const content = { api_url: "https://me:SECRET@host", log_level: "loud", node_id: "n1" };
  const path = await desk.write("config.json", content);
  const [json, table, fixed] = await Promise.all([
    desk.says(["config", "show", "--json"]),
    desk.says(["config", "show"]),
    desk.write("fixed.json", content).then((NODERAX_CONFIG_FILE) =>
      desk.says(["config", "set", "log_level", "debug"], { NODERAX_CONFIG_FILE })
    ),
  ]);
  const problem = `log_level is "loud" in ${path}, but must be one of debug, info, warn, error.`;
  const { values } = Shown.parse(JSON.parse(json.stdout));
  assert.deepEqual([json.code, table.code, fixed.code], [1, 1, 0]);
  assert.deepEqual(values.log_level, { value: null, source: { file: path }, problem });
  assert.equal(values.node_id?.value, "n1");
  assert.match(table.stdout, /^log_level +\(bad\) +file$/m);
  assert.match(table.stdout, /^node_id +n1 +file$/m);
  assert(table.stderr.endsWith(`\nnoderax-agent: ${problem}\n`), table.stderr);
  assert.doesNotMatch(JSON.stringify([json, table, fixed]), /SECRET/);
  const saved = JSON.parse(await Deno.readTextFile(desk.file("fixed.json")));
  assert.deepEqual(saved, { ...content, log_level: "debug" });
});

Deno.test({
  name: "setting says what did not happen or does not count" + NEEDS_MAPPING,
  ignore: !CAN_BE_MAPPED,
}, async () => {
  await using desk = await Desk.set();
  desk.user = "another";
  const broken = await desk.write("broken.json", "{");
  const within = (path: string, env = {}) => ({ NODERAX_CONFIG_FILE: path, ...env });
  const removed = await desk.write("removed.json", { node_id: "n1", colour: 1 });
  const weak = await desk.write("weak.json", {});
  const ca = await desk.write("ca.json", {});
  const below = `${ca}/config.json`;
  const lines = await desk.write("lines.json", {});
  const [unwritable, spoilt, gone, overridden, url, twoLines, secrets] = await Promise.all([
    desk.says(["config", "set", "log_level", "info"], within(below)),
    desk.says(["config", "set", "log_level", "info"], within(broken)),
    desk.says(["config", "set", "node_id", ""], within(removed)),
    desk.says(["config", "set", "log_level", "info"], within(weak, { LOG_LEVEL: "error" })),
    desk.says(["config", "set", "state_file", "ftp://me:SECRET@host/x"], within(ca)),
    desk.says(["config", "set", "state_file", "/a\nb\x1b[31m"], within(lines)),
    desk.says(["config", "show", "--reveal"]),
  ]);
  assert.equal(unwritable.code, 1);
  assert(unwritable.stderr.startsWith(`noderax-agent: ${below} cannot be written (`));
  assert.equal(spoilt.code, 1);
  assert.match(spoilt.stderr, /^noderax-agent: .* is not valid JSON: correct it at line 1/);
  assert.equal(await Deno.readTextFile(broken), "{");
  assert.equal(gone.stdout, `Removed node_id from ${removed}.\n`);
  assert.deepEqual(JSON.parse(await Deno.readTextFile(removed)), { colour: 1 });
  assert.equal(
    overridden.stderr,
    "noderax-agent: the environment variable LOG_LEVEL is set and overrides log_level.\n",
  );
  assert.equal(url.stdout, `Saved state_file = ftp://***@host/x in ${ca}.\n`);
  assert.equal(twoLines.stdout, `Saved state_file = "/a\\nb\\u001b[31m" in ${lines}.\n`);
  assert.deepEqual(secrets, {
    code: 1,
    stdout: "",
    stderr: "noderax-agent: This needs root: run `sudo noderax-agent config show --reveal`.\n",
  });
});

Deno.test("one key is read and unset; what is of the identity is not lost by a slip", async () => {
  await using desk = await Desk.set();
  const file = await desk.write("config.json", {
    log_level: "debug",
    node_id: NODE_ID,
    agent_token: "SECRET",
    max_tasks: 1.5,
  });
  const [set, unset, bad, secret, short, other, gone] = await Promise.all([
    desk.says(["config", "get", "log_level"]),
    desk.says(["config", "get", "api_url"]),
    desk.says(["config", "get", "max_tasks"]),
    desk.says(["config", "get", "agent_token"]),
    desk.says(["config", "set", "agent_token", "abc"]),
    desk.says(["config", "set", "node_id", crypto.randomUUID()]),
    desk.says(["config", "unset", "node_id"]),
  ]);
  assert.deepEqual([set.code, set.stdout], [0, "debug\n"]);
  assert.deepEqual(unset, { code: 1, stdout: "", stderr: "noderax-agent: api_url is not set.\n" });
  assert.deepEqual([bad.code, bad.stdout], [1, ""]);
  assert.match(bad.stderr, /max_tasks is 1\.5 in .*, but must be a whole number/);
  assert.equal(secret.stdout, "***\n");
  assert.equal(short.code, 2);
  assert.match(
    short.stderr,
    /agent_token .* at least 32 characters\. Nothing was changed; --force/,
  );
  for (const said of [other, gone]) {
    assert.equal(said.code, 1);
    assert.match(
      said.stderr,
      /is node \S+: `noderax-agent enroll --again` .*; --force changes node_id/,
    );
  }
  const forced = await desk.says(["config", "set", "--force", "agent_token", "abc"]);
  assert.equal(forced.code, 0, forced.stderr);
  const removed = await desk.says(["config", "unset", "log_level"]);
  assert.equal(removed.stdout, `Removed log_level from ${file}.\n`);
  const saved: unknown = JSON.parse(await Deno.readTextFile(file));
  assert.deepEqual(saved, { node_id: NODE_ID, agent_token: "abc", max_tasks: 1.5 });

  const { stdout } = await desk.says(["config", "set", "--help"]);
  for (const { key } of CONFIG_KEYS) assert.match(stdout, new RegExp(`^  ${key} \\(`, "m"));
  assert.match(
    stdout,
    /^ {2}log_level \(default info\)\n {6}How much is logged[^]*\sIt must be one of/m,
  );
});

Deno.test({
  name: "keys that a file has twice are named, and root's hint keeps what was typed" +
    NEEDS_MAPPING,
  ignore: !CAN_BE_MAPPED,
}, async () => {
  await using desk = await Desk.set();
  desk.user = "another";
  await desk.write("config.json", '{"log_level":"info","log_level":"debug"}');
  const [shown, uninstall, install] = await Promise.all([
    desk.says(["config", "show"]),
    desk.says(["uninstall", "--purge"]),
    desk.says(["install", "--bootstrap-token", "SECRET", "--email", "a@b.c", "--api-url=h x"]),
  ]);
  assert.match(shown.stdout, /^keys that the file has more than once .*: log_level$/m);
  // A file that was downloaded is named by its path.
  const hint = (words: string) =>
    new RegExp(
      `^noderax-agent: This needs root: run \`sudo \\S*noderax-agent\\S* ${words}\`\\.\n$`,
    );
  assert.match(uninstall.stderr, hint("uninstall --purge"));
  assert.equal(install.code, 2, "an address with a space is none");
  const back = await desk.says(["update", "--rollback"]);
  assert.equal(back.code, 2);
  assert.match(back.stderr, /--rollback needs --target-version: name the version to go back to/);
  const again = await desk.says(["install", "--bootstrap-token", "SECRET", "--email", "a@b.cc"]);
  assert.match(again.stderr, hint("install --bootstrap-token \\*{3} --email a@b\\.cc"));
});

Deno.test("output that cannot be written is a failure, but not a reader that has seen enough", async () => {
  await using desk = await Desk.set();
  const path = await desk.write("config.json", { log_level: "debug" });
  const to = async (script: string, args: string[]) => {
    const { code, stderr } = await agentCommand(args, {
      env: { NODERAX_CONFIG_FILE: path, PATH: `${desk.file(".")}:${Deno.env.get("PATH")}` },
      through: ["/bin/sh", "-c", script, desk.file("fifo")],
    }).output();
    return { code, stderr: new TextDecoder().decode(stderr).replace(/^.*experimental.*\n/m, "") };
  };
  const full = '"$@" >/dev/full';
  await desk.tool("systemctl", "echo LoadState=loaded");
  await desk.tool("journalctl", "echo a line");
  const cases = [["completions", "bash"], ["config", "show", "--json"], ["help"], ["logs"]];
  const stderr = "noderax-agent: The output could not be written: No space left on device " +
    "(os error 28).\n";
  await Promise.all(cases.map(async (args) => {
    assert.deepEqual(await to(full, args), { code: 1, stderr }, args.join(" "));
  }));
  assert.deepEqual(await to(full, ["config", "set", "max_tasks", "7"]), { code: 1, stderr });
  const saved: unknown = JSON.parse(await Deno.readTextFile(path));
  assert.deepEqual(saved, { log_level: "debug", max_tasks: 7 });
  // The reader closes the pipe before the command begins.
  const gone = 'mkfifo "$0"; { read _ <"$0"; "$@"; echo "$?" >&3; } 3>&2 | ' +
    '{ exec <&-; echo >"$0"; }';
  assert.equal((await to(gone, ["completions", "bash"])).stderr, "0\n");
});
