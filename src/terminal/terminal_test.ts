import assert from "node:assert/strict";
import { Harness } from "./_harness.ts";
import { PTY_MODES, type PtyMode } from "./modes.ts";

/** The modes with the first ones made to fail. */
function without(...names: string[]): PtyMode[] {
  const fail = `echo "not on this machine" >&2; exit 1`;
  return PTY_MODES.map((mode) => names.includes(mode.name) ? { ...mode, script: fail } : mode);
}

/** What the shell of a session says of itself. */
const LOOK = `ps -o pid=,pgid=,sid=,tty= -p $$ | sed "s/^/it""s: /"; exit 7\n`;

async function look(harness: Harness): Promise<{ its: string[]; exitCode: unknown; text: string }> {
  const sessionId = await harness.open();
  harness.type(sessionId, LOOK);
  const { exitCode } = await harness.event(sessionId, "terminal.exited");
  const text = harness.link.text(sessionId);
  const its = /its: +(.*?)\r?\n/.exec(text)?.[1]?.trim().split(/ +/) ?? [];
  return { its, exitCode, text };
}

Deno.test("pty+ctty: the shell leads a session that the terminal controls", async () => {
  await using harness = new Harness();
  const { its: [pid, group, session, tty], exitCode } = await look(harness);
  assert.equal(group, pid);
  assert.equal(session, pid);
  assert.match(tty ?? "", /^pts\//);
  assert.equal(exitCode, 7);
  assert.ok(!harness.log.some((line) => line.includes('"warn"')));
});

Deno.test("a terminal without a locale is no ASCII one, and a locale that is set stays", async () => {
  const none = { LANG: "", LC_ALL: "", LC_CTYPE: "" };
  for (
    const [env, expected] of [[none, /is <.+UTF-?8>/i], [{ ...none, LANG: "C" }, /is <C>/]] as const
  ) {
    await using harness = new Harness({}, {}, env);
    const sessionId = await harness.open();
    harness.type(sessionId, `echo "is"" <$LANG>"; exit\n`);
    await harness.event(sessionId, "terminal.exited");
    assert.match(harness.link.text(sessionId), expected);
  }
});

Deno.test("pty-no-ctty: the shell has a group of its own, and the loss is logged", async () => {
  await using harness = new Harness({}, { modes: without("pty+ctty") });
  const { its: [pid, , session, tty], exitCode, text } = await look(harness);
  assert.notEqual(session, pid);
  assert.equal(tty, "?");
  assert.match(text, /no job control/);
  assert.equal(exitCode, 7);
  const warning = harness.log.find((line) => line.includes("terminal opened with less")) ?? "";
  assert.match(warning, /"mode":"pty-no-ctty".*Ctrl-C.*pty\+ctty: not on this machine/);
});

Deno.test("pty-minimal: the shell leads its session, and nothing else is promised", async () => {
  await using harness = new Harness({}, { modes: without("pty+ctty", "pty-no-ctty") });
  const { its: [pid, , session], exitCode } = await look(harness);
  assert.equal(session, pid);
  assert.equal(exitCode, 7);
  const warning = harness.log.find((line) => line.includes("terminal opened with less")) ?? "";
  assert.match(warning, /"mode":"pty-minimal".*not tried/);
});

Deno.test("pty+ctty is not taken when the terminal controls no session", async () => {
  const [first, ...rest] = PTY_MODES;
  assert.ok(first);
  // In a process that leads no session.
  const modes = [{ ...first, script: `(${first.script}\n)\nexit` }, ...rest];
  await using harness = new Harness({}, { modes });
  const sessionId = await harness.open();
  assert.ok(harness.log.some((line) => line.includes('"mode":"pty-no-ctty"')));
  harness.send("terminal.stop", sessionId);
  await harness.event(sessionId, "terminal.exited");
});

Deno.test("when no mode works, the reasons are told", async () => {
  const modes = without("pty+ctty", "pty-no-ctty", "pty-minimal");
  await using harness = new Harness({}, { modes });
  const sessionId = harness.start();
  const { message } = await harness.event(sessionId, "terminal.error");
  assert.match(String(message), /pty-minimal: not on this machine/);
  assert.equal(harness.link.event(sessionId, "terminal.opened"), undefined);
  assert.equal(harness.manager.count, 0);
});

Deno.test("where the sandbox of the service would bind its shell, a terminal without a unit is refused", async () => {
  await using harness = new Harness({}, { unitsOnly: true });
  const sessionId = harness.start();
  const { message } = await harness.event(sessionId, "terminal.error");
  assert.match(
    String(message),
    /no unit of its own \(.*\), and without one the sandbox .* bind it$/,
  );
  assert.equal(harness.link.event(sessionId, "terminal.opened"), undefined);
  assert.equal(harness.manager.count, 0);
});

Deno.test("every mode resizes, and every stop ends it", async () => {
  for (const modes of [PTY_MODES, without("pty+ctty"), without("pty+ctty", "pty-no-ctty")]) {
    await using harness = new Harness({}, { modes });
    const sessionId = await harness.open();
    harness.send("terminal.resize", sessionId, { cols: 77, rows: 33 });
    harness.type(sessionId, "stty size\n");
    await harness.see(sessionId, "33 77");
    harness.send("terminal.stop", sessionId, { reason: "enough" });
    const { reason } = await harness.event(sessionId, "terminal.exited");
    assert.equal(reason, "enough");
  }
});

Deno.test("the environment is a user's: no secrets, no fixed size", async () => {
  const own = {
    NODERAX_AGENT_TOKEN: "s3cret",
    AGENT_TOKEN: "s3cret",
    COLUMNS: "55",
    OLDPWD: "/tmp",
  };
  await using harness = new Harness({}, {}, own);
  const sessionId = await harness.open();
  harness.type(sessionId, "env; pwd; echo o''ld=$OLDPWD; echo do''ne; exit\n");
  const text = await harness.see(sessionId, "done");
  assert.match(text, /^TERM=xterm-256color\r$/m);
  assert.match(text, /^PAGER=cat\r$/m);
  assert.match(text, new RegExp(`^SHELL=/`, "m"));
  const home = /^HOME=(.*)\r$/m.exec(text)?.[1];
  assert.ok(home && text.includes(`\n${home}\r\n`), "it starts in the home");
  assert.doesNotMatch(text, /s3cret|^COLUMNS=|^LINES=/m);
  assert.match(text, /^old=\r$/m);
});

Deno.test("a shell that refuses to run is passed over", async () => {
  await using harness = new Harness({}, {}, { SHELL: "/bin/false" });
  await harness.open();
  assert.ok(harness.log.some((line) => line.includes('"shell":"/bin/bash"')));
});
