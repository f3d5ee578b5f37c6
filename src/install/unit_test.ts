import assert from "node:assert/strict";
import { join } from "@std/path";
import { INSTALLED, SERVICE } from "../system/paths.ts";
import { runTool } from "../system/tool.ts";
import { renderUnit, type UnitConfig } from "./unit.ts";

const hasSystemd = (await runTool("systemd-analyze", "--version")).code === 0;

const CONFIG: UnitConfig = {
  shutdownTimeoutMs: 20_000,
  taskIsolation: "auto",
  stateFile: INSTALLED.identity,
};

/** Of 10; what is left out, and why, is in docs/security.md. */
const EXPOSURE_LIMITS = { unit: 2.5, child: 9.5 } as const;

/** The unit in a folder of its own, with a program that is there. */
async function withUnit(
  taskIsolation: UnitConfig["taskIsolation"],
  body: (path: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "unit_" });
  try {
    const path = join(folder, SERVICE);
    const text = renderUnit({ ...CONFIG, taskIsolation });
    await Deno.writeTextFile(path, text.replaceAll(INSTALLED.program, "/bin/true"));
    await body(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const taskIsolation of ["unit", "child"] as const) {
  const limit = EXPOSURE_LIMITS[taskIsolation];
  const tasks = `where tasks are ${taskIsolation === "unit" ? "units" : "children"}`;
  Deno.test({
    name: `systemd has nothing to say against the unit ${tasks} (needs systemd-analyze)`,
    ignore: !hasSystemd,
    fn: () =>
      withUnit(taskIsolation, async (path) => {
        const { code, stdout, stderr } = await runTool("systemd-analyze", "verify", path);
        assert.deepEqual([code, stdout, stderr], [0, "", ""]);
      }),
  });

  Deno.test({
    name: `the unit is no more exposed than it was ${tasks} (needs systemd-analyze)`,
    ignore: !hasSystemd,
    fn: () =>
      withUnit(taskIsolation, async (path) => {
        const threshold = `--threshold=${limit * 10}`;
        const offline = ["security", "--offline=true", "--no-pager", threshold];
        const { code, stdout } = await runTool("systemd-analyze", ...offline, path);
        assert.equal(code, 0, stdout);
      }),
  });
}

Deno.test("the agent has longer to stop than shutdown_timeout and its reports take", () => {
  const stopSeconds = (shutdownTimeoutMs: number) =>
    Number(
      /^TimeoutStopSec=(\d+)s$/m.exec(renderUnit({ ...CONFIG, shutdownTimeoutMs }))
        ?.[1],
    );
  assert.equal(stopSeconds(20_000), 600);
  assert.equal(stopSeconds(3_600_000), 3_720);
});

/** What a start pauses for: ExecStartPre= as systemd hands it to the shell, its tools stood in for. */
async function pauseOf(folder: string, restarts: number): Promise<string> {
  const command = /^ExecStartPre=\/bin\/sh -c '(.*?)'$/ms
    .exec(renderUnit(CONFIG))?.[1]?.replaceAll("\\\n", "")
    .replaceAll("%n", "x")
    .replaceAll("$$", () => "$");
  const tools = `systemctl() { echo ${restarts}; }; sleep() { echo "$1"; };`;
  const script = `RUNTIME_DIRECTORY=$0; ${tools} ${command}`;
  const { code, stdout, stderr } = await runTool("/bin/sh", "-c", script, folder);
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout;
}

Deno.test("the pause before a restart rises, and begins anew after a good run or by hand", async () => {
  const folder = await Deno.makeTempDir({ prefix: "pause_" });
  try {
    const pauses: string[] = [];
    for (let restarts = 0; restarts < 8; restarts++) pauses.push(await pauseOf(folder, restarts));
    assert.deepEqual(pauses, ["0", "1", "3", "7", "15", "30", "30", "30"]);
    assert.equal(await pauseOf(folder, 0), "0");
    assert.equal(await pauseOf(folder, 1), "1");
    const longAgo = new Date(Date.now() - 11 * 60_000);
    await Deno.utime(join(folder, "pause"), longAgo, longAgo);
    assert.equal(await pauseOf(folder, 2), "0");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the unit names the places where install puts things", () => {
  const text = renderUnit(CONFIG);
  for (const place of [INSTALLED.program, INSTALLED.config, INSTALLED.stateFolder]) {
    assert.ok(text.includes(place), place);
  }
});

Deno.test("a state folder of one's own can be written by a unit that is locked down", () => {
  const paths = (config: Partial<UnitConfig>) =>
    [...renderUnit({ ...CONFIG, ...config }).matchAll(/^ReadWritePaths=(.*)$/gm)]
      .map(([, value]) => value);
  const usual = `-${INSTALLED.configFolder}`;
  assert.deepEqual(paths({}), [usual]);
  const stateFile = "/srv/100% of it/identity.json";
  assert.deepEqual(paths({ stateFile }), [usual, '"-/srv/100%% of it"']);
  assert.deepEqual(paths({ stateFile, taskIsolation: "child" }), []);
});
