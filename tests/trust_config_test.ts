import assert from "node:assert/strict";
import { join } from "@std/path";
import { eventually } from "./_processes.ts";
import { privileged, SecondUser, sh } from "./_second_user.ts";
import { asUser, openFolder, sayIn, Stranger } from "./_trust.ts";

const TOKEN = "root-TOKEN-of-this-machine";

/** A folder of root's with an identity that is worth something. */
async function identityOf(folder: string, owner?: string): Promise<string> {
  const state = join(folder, "state");
  await Deno.mkdir(state, { mode: 0o700 });
  const path = join(state, "agent_identity.json");
  const identity = { node_id: "n-1", agent_token: TOKEN, registered_at: "2026-01-01T00:00:00Z" };
  await Deno.writeTextFile(path, JSON.stringify(identity), { mode: 0o600 });
  if (owner) await sh('chown -R "$1:" "$2"', owner, state);
  return path;
}

/** Has a user write a configuration into the home. */
async function plant(user: SecondUser, content: unknown): Promise<string> {
  const path = join(user.home, "config.json");
  await Deno.writeTextFile(path, JSON.stringify(content));
  await sh('chown "$1:" "$2"', user.name, path);
  return path;
}

privileged(
  "root in a user's folder sends its token nowhere the user says, and writes nothing",
  async () => {
    await using user = await SecondUser.make();
    await using stranger = new Stranger();
    const folder = await openFolder();
    try {
      const content = { api_url: stranger.url, state_file: await identityOf(folder) };
      const path = await plant(user, content);
      const commands = ["doctor", "status", "run", "enroll --email a@example.com", "config path"];
      const said = await Promise.all(commands.map((each) => sayIn(user.home, each.split(" "))));
      assert.deepEqual(stranger.tokens, []);
      for (const { text } of said) {
        assert.match(text, /config\.json is ignored, because .* belongs to user \d+/);
      }
      const { code, text } = await sayIn(user.home, ["config", "set", "log_level", "debug"]);
      assert.equal(code, 1);
      assert.match(text, /config\.json is not written/);
      assert.deepEqual(JSON.parse(await Deno.readTextFile(path)), content);
      assert.deepEqual(stranger.tokens, []);

      const named = await sayIn(folder, ["doctor", "--config", path]);
      assert.match(named.text, /config\.json is not read as root, because .* belongs to user/);
      assert.deepEqual(stranger.tokens, []);
      // Root's own, in a folder where others may make entries too, is read as ever.
      const own = join(folder, "own.json");
      await Deno.writeTextFile(own, JSON.stringify(content));
      await sayIn(user.home, [`--config=${own}`, "doctor"]);
      assert.equal(new Set(stranger.tokens).size, 1);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);

privileged("a user's identity does not go where somebody else's folder says", async () => {
  await using user = await SecondUser.make();
  await using other = await SecondUser.make();
  await using stranger = new Stranger();
  const folder = await openFolder();
  try {
    const state_file = await identityOf(folder, user.name);
    const path = await plant(other, { api_url: stranger.url, state_file });
    await Deno.chmod(other.home, 0o755);
    await Deno.chmod(path, 0o644);
    const through = asUser(user.name);
    await user.giveFetched();
    const found = await sayIn(other.home, ["doctor"], { through, env: { HOME: user.home } });
    assert.match(found.text, /is not used with .*config\.json, which says where it is sent/);
    assert.deepEqual(stranger.tokens, []);
    // Named, it is the user's own choice.
    await sayIn(other.home, ["doctor", "--config", path], { through, env: { HOME: user.home } });
    assert.deepEqual(new Set(stranger.tokens), new Set([`Bearer ${TOKEN}`]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a file without a key of the agent's is somebody else's, and stays as it is", async () => {
  const folder = await openFolder();
  try {
    const path = join(folder, "config.json");
    const text = '{"port": 8080, "database": "app"}\n';
    await Deno.writeTextFile(path, text, { mode: 0o644 });
    const { code, text: said } = await sayIn(folder, ["config", "set", "log_level", "debug"]);
    assert.equal(code, 1);
    assert.match(said, /config\.json is not written, because no key in it is the agent's/);
    assert.equal(await Deno.readTextFile(path), text);
    assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o644);
    const own = join(folder, "agent.json");
    assert.equal(
      (await sayIn(folder, ["config", "set", "log_level", "debug", "--config", own])).code,
      0,
    );
    assert.equal(
      (await sayIn(folder, ["--config", own, "config", "path"])).text.includes(own),
      true,
    );
    const missing = await sayIn(folder, ["--config"]);
    assert.deepEqual(
      [missing.code, /option '--config <file>' argument missing/.test(missing.text)],
      [2, true],
      missing.text,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

privileged("root's status does not believe what listens in somebody else's folder", async () => {
  await using user = await SecondUser.make();
  const data = join(user.home, "data");
  const socket = join(data, "agent.sock");
  await sh('install -d -o "$1" "$2"', user.name, data);
  const serve = `Deno.serve({ path: ${JSON.stringify(socket)}, transport: "unix", onListen:
    () => Deno.chmodSync(${JSON.stringify(socket)}, 0o666) }, () => new Response("ok"));`;
  const [program = "", ...args] = [...asUser(user.name), Deno.execPath(), "eval", serve];
  const child = new Deno.Command(program, {
    args,
    env: { HOME: user.home, DENO_DIR: join(user.home, "cache") },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await eventually("the socket", async () => {
      const { mode } = await Deno.stat(socket).catch(() => ({ mode: 0 }));
      return ((mode ?? 0) & 0o777) === 0o666;
    });
    const { code, text } = await sayIn(user.home, ["status", "--check"]);
    assert.equal(code, 1, text);
    assert.match(text, /unhealthy: what answers is not trusted, because .* belongs to user \d+/);
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
});
