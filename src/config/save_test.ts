import assert from "node:assert/strict";
import { join } from "@std/path";
import { UserError } from "../system/user_error.ts";
import { loadConfig } from "./load.ts";
import { CONFIG_KEYS } from "./schema.ts";
import { lockFile, saveConfig } from "./save.ts";

const noEnv = () => undefined;
const mirrorTo = (path: string) => (name: string) =>
  name === "NODERAX_CONFIG_MIRROR_FILE" ? path : undefined;

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "config_" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function modeOf(path: string): Promise<number> {
  return ((await Deno.stat(path)).mode ?? 0) & 0o777;
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name)).toSorted();
}

Deno.test("numbers of others keep all of their digits", () =>
  withFolder(async (folder) => {
    const path = join(folder, "config.json");
    const rest = '"big": 12345678901234567890,\n  "fine": 0.12345678901234567891,\n  "small": 1.5';
    await Deno.writeTextFile(path, `{"node_id":"n0",${rest}}`);
    await saveConfig(path, { node_id: "n1" }, { env: noEnv });
    assert.equal(await Deno.readTextFile(path), `{\n  "node_id": "n1",\n  ${rest}\n}\n`);
  }));

Deno.test("saving changes its keys and keeps the rest, in order", () =>
  withFolder(async (folder) => {
    const path = join(folder, "config.json");
    const before =
      '{"z":{"deep":[1,null]},"enrollment_token":"old","api_url":"host","node_id":"n0","a":1.5}';
    await Deno.writeTextFile(path, before);
    await Deno.chmod(path, 0o640);
    const changes = { enrollment_token: null, node_id: "n1", agent_token: "t1", missing: null };
    assert.deepEqual(await saveConfig(path, changes, { env: noEnv }), { warnings: [] });

    const after = {
      z: { deep: [1, null] },
      api_url: "host",
      node_id: "n1",
      a: 1.5,
      agent_token: "t1",
    };
    assert.equal(await Deno.readTextFile(path), JSON.stringify(after, null, 2) + "\n");
    assert.equal(await modeOf(path), 0o600);
    assert.deepEqual(await namesIn(folder), ["config.json"]);
  }));

Deno.test("saving makes a missing file and its folders", () =>
  withFolder(async (folder) => {
    const path = join(folder, "sub/deeper/config.json");
    await saveConfig(path, { node_id: "n", realtime_queue_size: 5 }, { env: noEnv });
    assert.equal(await modeOf(path), 0o600);
    assert.equal(await modeOf(join(folder, "sub")), 0o700);
    const env = (name: string) => name === "NODERAX_CONFIG_FILE" ? path : undefined;
    const { config, exists } = await loadConfig({ env, cwd: folder });
    assert.equal(exists, true);
    assert.equal(config.nodeId, "n");
    assert.equal(config.realtimeQueueSize, 5);
  }));

Deno.test("what is no configuration is never overwritten", () =>
  withFolder(async (folder) => {
    const path = join(folder, "config.json");
    for (const damaged of ['{"node_id": "n"', "", "[]"]) {
      await Deno.writeTextFile(path, damaged);
      await assert.rejects(saveConfig(path, { node_id: "m" }, { env: noEnv }), UserError);
      assert.equal(await Deno.readTextFile(path), damaged);
    }
  }));

Deno.test("a file that cannot be written is named", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "file"), "");
    const path = join(folder, "file/config.json");
    const saving = saveConfig(path, { node_id: "m" }, { env: noEnv });
    await assert.rejects(saving, (error) => {
      assert(error instanceof UserError);
      return error.message.startsWith(`${path} cannot be written (`);
    });
  }));

Deno.test("the mirror gets what was saved", () =>
  withFolder(async (folder) => {
    const path = join(folder, "config.json");
    const mirror = join(folder, "mirror/config.json");
    await Deno.writeTextFile(path, '{"colour": 1, "node_id": "n0"}');
    for (const node_id of ["n1", "n2"]) {
      assert.deepEqual(await saveConfig(path, { node_id }, { env: mirrorTo(mirror) }), {
        warnings: [],
      });
      assert.deepEqual(JSON.parse(await Deno.readTextFile(mirror)), { colour: 1, node_id });
      assert.equal(await Deno.readTextFile(mirror), await Deno.readTextFile(path));
      assert.equal(await modeOf(mirror), 0o600);
    }
  }));

Deno.test("a mirror that fails is a warning, and what is no configuration stays", () =>
  withFolder(async (folder) => {
    const path = join(folder, "config.json");
    const other = join(folder, "notes.txt");
    await Deno.writeTextFile(other, "important");
    const { warnings } = await saveConfig(path, { node_id: "n" }, { env: mirrorTo(other) });
    assert.deepEqual(warnings, [
      `The configuration was not mirrored: ${other} is not valid JSON: correct it at line 1, column 1.`,
    ]);
    assert.equal(await Deno.readTextFile(other), "important");
    assert.deepEqual(JSON.parse(await Deno.readTextFile(path)), { node_id: "n" });
  }));

Deno.test("what is saved at the same time is all saved, in the mirror too", () =>
  withFolder(async (folder) => {
    for (const there of [true, false]) {
      const path = join(folder, `${there}/config.json`);
      const mirror = join(folder, `${there}/mirror.json`);
      if (there) await saveConfig(path, { colour: 1, node_id: 2 }, { env: noEnv });
      const keys = CONFIG_KEYS.map(({ key }) => key).slice(0, 12);
      const env = mirrorTo(mirror);
      const saved = await Promise.all(keys.map((key) => saveConfig(path, { [key]: 1 }, { env })));
      assert.deepEqual(saved.flatMap(({ warnings }) => warnings), []);
      const content = JSON.parse(await Deno.readTextFile(path));
      assert.deepEqual(
        Object.keys(content).toSorted(),
        [...there ? ["colour"] : [], ...keys].toSorted(),
      );
      assert.equal(await Deno.readTextFile(mirror), await Deno.readTextFile(path));
      assert.deepEqual(await namesIn(join(folder, String(there))), ["config.json", "mirror.json"]);
    }
  }));

Deno.test("a lock that stays taken is told of, and goes with a process that is killed", () =>
  withFolder(async (folder) => {
    const path = join(folder, "config.json");
    await Deno.writeTextFile(path, "{}");
    const module = JSON.stringify(import.meta.resolve("./save.ts"));
    const holder = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `import { lockFile } from ${module};
         await lockFile(${JSON.stringify(path)});
         console.log("locked");
         setInterval(() => {}, 1000);`,
      ],
      stdout: "piped",
    }).spawn();
    const reader = holder.stdout.getReader();
    await reader.read();
    await assert.rejects(lockFile(path, 10), {
      name: "UserError",
      message: `${path} is being changed by another command: try again when that has ended.`,
    });
    holder.kill("SIGKILL");
    await holder.status;
    await reader.cancel();
    await saveConfig(path, { node_id: "n" }, { env: noEnv });
    assert.deepEqual(JSON.parse(await Deno.readTextFile(path)), { node_id: "n" });
  }));
