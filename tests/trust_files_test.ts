import assert from "node:assert/strict";
import { join } from "@std/path";
import { saveConfig } from "../src/config/mod.ts";
import { writeFileAtomic } from "../src/system/atomic_file.ts";
import { privileged, SecondUser, sh } from "./_second_user.ts";
import { openFolder } from "./_trust.ts";

/** Swaps every unfinished file of the folder for a link, as fast as a shell can. */
const SWAP = `cd "$1" && while :; do
  for f in .*.tmp; do [ -f "$f" ] && [ ! -L "$f" ] && ln -sf "$2" "$f"; done
done`;

/** A user who has a folder, and swaps files in it for links to root's secret. */
async function withSwapper(
  test: (place: { user: SecondUser; folder: string; secret: string }) => Promise<void>,
): Promise<void> {
  await using user = await SecondUser.make();
  const own = await openFolder();
  const secret = join(own, "secret");
  await Deno.writeTextFile(secret, "precious", { mode: 0o600 });
  const folder = join(user.home, "checkout");
  await sh('install -d -o "$1" -g "$1" "$2"', user.name, folder);
  const who = ["--reuid", user.name, "--regid", user.name, "--init-groups"];
  const swapper = new Deno.Command("setpriv", {
    args: [...who, "/bin/sh", "-c", SWAP, "sh", folder, secret],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await test({ user, folder, secret });
    const { uid, mode } = await Deno.stat(secret);
    assert.deepEqual([uid, (mode ?? 0) & 0o777], [0, 0o600]);
    assert.equal(await Deno.readTextFile(secret), "precious");
  } finally {
    swapper.kill("SIGKILL");
    await swapper.status;
    await Deno.remove(own, { recursive: true });
  }
}

privileged(
  "root writes no file in a folder of somebody else's, swapped or not",
  () =>
    withSwapper(async ({ user, folder, secret }) => {
      const path = join(folder, "identity.json");
      await Deno.writeTextFile(path, "old");
      await sh('chown "$1:" "$2"', user.name, path);
      for (let tries = 0; tries < 20; tries++) {
        const writing = writeFileAtomic(path, "new");
        await assert.rejects(writing, /root writes only where nobody else does, and .* belongs to/);
      }
      assert.equal(await Deno.readTextFile(path), "old");
      // A link in root's own folder that leads there, and one of the user's that leads out of it.
      await Deno.symlink(folder, join(secret, "..", "link"));
      await assert.rejects(writeFileAtomic(join(secret, "..", "link", "x"), "new"));
      await Deno.symlink(join(secret, ".."), join(folder, "away"));
      await assert.rejects(writeFileAtomic(join(folder, "away", "x"), "new"));
      assert.deepEqual(
        (await Array.fromAsync(Deno.readDir(join(secret, "..")), ({ name }) => name)).toSorted(),
        ["link", "secret"],
      );
    }),
);

privileged(
  "the mirror in a user's checkout becomes that user's, and nothing else does",
  () =>
    withSwapper(async ({ user, folder, secret }) => {
      const path = join(secret, "..", "config.json");
      const mirror = join(folder, "config.json");
      const env = (name: string) => name === "NODERAX_CONFIG_MIRROR_FILE" ? mirror : undefined;
      let mirrored = 0;
      for (let tries = 0; tries < 40; tries++) {
        const { warnings } = await saveConfig(path, { node_id: `n-${tries}` }, { env });
        if (warnings.length === 0) mirrored++;
      }
      assert.ok(mirrored > 0);
      const uid = Number(await sh('id -u "$1"', user.name));
      assert.equal((await Deno.lstat(mirror)).uid === 0, false);
      // What is no configuration there, or nobody's file at all, stays as it is.
      const cases: [string, RegExp][] = [
        [`rm -f ${mirror}; echo '{"port": 1}' >${mirror}`, /no key in it is the agent's/],
        [`rm -f ${mirror}; ln -s ${secret} ${mirror}`, /is no regular file/],
        [`rm -f ${mirror}; mkfifo ${mirror}`, /is no regular file/],
        [`rm -f ${mirror}; cp ${path} ${mirror}; chown 12345 ${mirror}`, /belongs to user 12345/],
        [`rm -f ${mirror}; chown 12345 ${user.home}`, /belongs to user 12345/],
      ];
      for (const [change, sentence] of cases) {
        await sh(change);
        const { warnings } = await saveConfig(path, { node_id: "n" }, { env });
        assert.match(warnings.join(), sentence);
      }
      await sh(`chown ${uid} ${user.home}`);
      await Deno.remove(path);
    }),
);
