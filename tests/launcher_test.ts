import assert from "node:assert/strict";
import { join } from "@std/path";
import { launcher } from "../scripts/_launcher.ts";
import { mayMount } from "./_small_disk.ts";

const isRoot = Deno.uid() === 0;

Deno.test({
  name: "without /proc the launcher says what is missing (needs the right to mount)",
  ignore: !await mayMount(),
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const program = join(folder, "noderax-agent");
      await Deno.mkdir(join(folder, "lib"));
      await Deno.writeTextFile(program, launcher());
      await Deno.writeTextFile(join(folder, "lib/deno"), "#!/bin/sh\necho started\n");
      await Deno.chmod(program, 0o755);
      await Deno.chmod(join(folder, "lib/deno"), 0o755);
      const run = async (before: string) => {
        const script = `${before} exec "$0" version`;
        const args = ["--mount", "/bin/sh", "-c", script, program];
        const { code, stdout, stderr } = await new Deno.Command("unshare", { args }).output();
        const [out = "", error = ""] = [stdout, stderr].map((bytes) =>
          new TextDecoder().decode(bytes)
        );
        return { code, out, error };
      };
      assert.deepEqual(await run(""), { code: 0, out: "started\n", error: "" });
      const { code, out, error } = await run("mount -t tmpfs none /proc;");
      assert.deepEqual({ code, out }, { code: 1, out: "" });
      assert.match(error, /^noderax-agent: there is no \/proc here, .* \(fix: mount [^)]+\)\n$/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("what Deno keeps lies beside a program of one's own, and in no folder of anybody else", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const program = join(folder, "noderax-agent");
    await Deno.mkdir(join(folder, "lib"));
    await Deno.writeTextFile(program, launcher(), { mode: 0o755 });
    const deno = '#!/bin/sh\necho "$DENO_DIR"\n';
    await Deno.writeTextFile(join(folder, "lib/deno"), deno, { mode: 0o755 });
    const kept = async () => {
      const { stdout } = await new Deno.Command(program, { args: ["version"] }).output();
      return new TextDecoder().decode(stdout).trimEnd();
    };
    assert.equal(await kept(), join(folder, "cache"));
    if (!isRoot) return;
    await Deno.chown(folder, 65_534, 65_534);
    assert.match(await kept(), /^(\/dev\/null|\/var\/cache\/noderax-agent)$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("whatever the umask says, nobody else can write into the folder of what Deno keeps", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const program = join(folder, "noderax-agent");
    await Deno.mkdir(join(folder, "lib"));
    await Deno.writeTextFile(program, launcher(), { mode: 0o755 });
    const deno = '#!/bin/sh\nstat -c %a "$DENO_DIR"; umask\n';
    await Deno.writeTextFile(join(folder, "lib/deno"), deno, { mode: 0o755 });
    const script = 'umask 000; "$0" version; "$0" prepare-cache "$1/prepared"';
    const args = ["-c", script, program, folder];
    const { stdout } = await new Deno.Command("/bin/sh", { args }).output();
    assert.equal(new TextDecoder().decode(stdout), "700\n0000\n700\n0000\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
