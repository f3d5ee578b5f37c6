import assert from "node:assert/strict";
import { ChildLateError, runChild, runChildFor } from "./run_child.ts";
import { runTool } from "./tool.ts";

/** A script and its children; `$1` is a file that tells the id of the last one. */
const HUNG = 'trap "" TERM INT HUP; sleep 1000 & echo $! >"$1"; wait';

/** Runs {@linkcode HUNG}; `end` is called when it hangs. Its child must have gone in the end. */
async function hang(end: () => void, options: Parameters<typeof runChild>[1]): Promise<unknown> {
  const file = await Deno.makeTempFile();
  const running = runChild(["/bin/sh", "-c", HUNG, "sh", file], options);
  const outcome = running.then(() => undefined, (error) => error);
  let pid = "";
  while (pid === "" && options?.limitMs === undefined) pid = await Deno.readTextFile(file);
  end();
  const thrown = await outcome;
  pid ||= await Deno.readTextFile(file);
  await Deno.remove(file);
  // What has just been killed may wait for its turn to go.
  if (pid !== "") await goneOf(pid.trim());
  return thrown;
}

/** Waits until a process has gone, whether its parent has noticed or not. */
async function goneOf(pid: string): Promise<void> {
  const endMs = performance.now() + 60_000;
  for (;;) {
    const { stdout } = await runChild(["ps", "-o", "stat=", "-p", pid]);
    if (/^(Z.*)?\s*$/.test(stdout)) return;
    assert(performance.now() < endMs, `its child has not gone with it: ${stdout}`);
  }
}

/** Limits to try, in milliseconds: on a slow machine a child has not begun within the first. */
const LIMITS_MS = [300, 3_000, 30_000];

Deno.test("a child gives its code and both outputs, in a session of its own", async () => {
  const script = 'echo "$A"; echo err >&2; ps -o pid=,sid= -p $$; cat; exit 3';
  const { code, stdout, stderr } = await runChild(["/bin/sh", "-c", script], { env: { A: "a" } });
  assert.equal(code, 3);
  assert.match(stdout, /^a\n *(\d+) +\1\n$/);
  assert.equal(stderr, "err\n");
});

Deno.test("an abort kills a child with all of its group, and gives its reason", async () => {
  const stop = new AbortController();
  const reason = new Error("stopped");
  assert.equal(await hang(() => stop.abort(reason), { signal: stop.signal }), reason);
  await assert.rejects(runChild(["/bin/false"], { signal: stop.signal }), reason);
});

Deno.test("a child that takes too long is killed with all of its group", async () => {
  const thrown = await hang(() => {}, { limitMs: 300 });
  assert(thrown instanceof ChildLateError);
  assert.equal(thrown.message, "`/bin/sh` has not ended after 0.3 s.");
});

Deno.test("output that is held open by what a child has left behind is not waited for", async () => {
  const file = await Deno.makeTempFile();
  let pid = 0;
  for (const limitMs of LIMITS_MS) {
    const leave = 'setsid sleep 1000 & echo $! >"$1"';
    const running = runChild(["/bin/sh", "-c", leave, "sh", file], { limitMs });
    await assert.rejects(running, ChildLateError);
    pid = Number(await Deno.readTextFile(file));
    if (pid > 0) break;
  }
  await Deno.remove(file);
  assert(pid > 0, "nothing was left behind");
  // It has left the group, and with it the reach of a program that is no task's.
  Deno.kill(pid, "SIGKILL");
});

Deno.test("a program that is not there is an error, and of a tool the shell's exit code", async () => {
  await assert.rejects(runChild(["/nowhere/cat"]), Deno.errors.NotFound);
  assert.deepEqual(await runTool("/nowhere/cat"), {
    code: 127,
    stdout: "",
    stderr: "/nowhere/cat: not found",
  });
  assert.equal((await runTool("date", "+%Z")).stdout, "UTC");
});

Deno.test("a child that prints more than is wanted is ended, and its beginning kept", async () => {
  const endless = ["/bin/sh", "-c", "echo begin; echo err >&2; while :; do echo more; done"];
  const { stdout, isCut, stderr, code } = await runChildFor(8, endless);
  assert.equal(new TextDecoder().decode(stdout), "begin\nmo");
  assert(isCut);
  assert.equal(stderr, "err\n");
  assert.equal(code, 137);
  const whole = await runChildFor(6, ["echo", "begin"]);
  assert.equal(new TextDecoder().decode(whole.stdout), "begin\n");
  assert(!whole.isCut);
});
