import assert from "node:assert/strict";
import { join, resolve } from "@std/path";
import { Fleet } from "./_agent.ts";
import { AGENT, FROM_SOURCE } from "./_command.ts";
import { filesIn } from "./_processes.ts";

const ROOT = join(import.meta.dirname ?? "", "..");

/** The blocks that a page marks as runnable. */
async function runnable(page: string): Promise<string[]> {
  const text = await Deno.readTextFile(join(ROOT, page));
  return [...text.matchAll(/^```sh runnable\n([^]*?)^```$/gm)].map(([, block = ""]) => block);
}

/** Writes a command of this name that is `words` and whatever follows it. */
async function command(folder: string, name: string, words: readonly string[], skip = 0) {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const text = `#!/bin/sh\nshift ${skip}\nexec ${quoted} "$@"\n`;
  await Deno.writeTextFile(join(folder, name), text, { mode: 0o755 });
}

Deno.test("the commands that the documentation marks as runnable succeed", async (test) => {
  await using fleet = await Fleet.start();
  await Deno.chmod(fleet.configFile, 0o600);
  const [bin, desk] = [join(fleet.folder, "bin"), join(fleet.folder, "desk")];
  await Promise.all([Deno.mkdir(bin), Deno.mkdir(desk)]);
  // The agent that is tested, from any folder: it is named as seen from the checkout.
  const isThere = (word: string) => /\/|\.ts$/.test(word) && !word.startsWith("-");
  const agent = AGENT.map((word) => isThere(word) ? resolve(ROOT, word) : word);
  // Deno takes the permissions of the folder that it is called in, unless told of another one.
  const config = FROM_SOURCE ? ["--config", join(ROOT, "deno.json")] : [];
  await command(bin, "noderax-agent", agent.toSpliced(2, 0, ...config));
  await command(bin, "deno", [Deno.execPath()]);
  // npx -y deno@… is this Deno.
  await command(bin, "npx", [Deno.execPath()], 2);
  const env = {
    PATH: `${bin}:${Deno.env.get("PATH") ?? ""}`,
    NODERAX_CONFIG_FILE: fleet.configFile,
  };
  await using running = await fleet.agent();
  const pages = (await filesIn(join(ROOT, "docs"))).filter((name) => name.endsWith(".md"));
  let found = 0;
  for (const page of ["README.md", "CONTRIBUTING.md", ...pages.map((name) => `docs/${name}`)]) {
    for (const block of await runnable(page)) {
      found++;
      await test.step(`${page}: ${block.trim().split("\n").join("; ")}`, async () => {
        const cwd = /\bdeno\b/.test(block) ? ROOT : desk;
        const { code, stdout, stderr } = await new Deno.Command("sh", {
          args: ["-ec", block],
          ...{ cwd, env, stdin: "null", stdout: "piped", stderr: "piped" },
        }).output();
        const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
        assert.equal(code, 0, said);
      });
    }
  }
  assert(found >= 5, `${found} blocks`);
  await running.stop();
});
