import assert from "node:assert/strict";
import { join } from "@std/path";
import * as z from "@zod/zod";
import project from "../../deno.json" with { type: "json" };
import { build } from "./_build.ts";
import { sh } from "../_second_user.ts";
import { together } from "../_together.ts";

type Entry = { Dir: { n: string; e: Entry[] } } | { File: { n: string } };
const Entry: z.ZodType<Entry> = z.union([
  z.object({ Dir: z.object({ n: z.string(), e: z.lazy(() => z.array(Entry)) }) }),
  z.object({ File: z.object({ n: z.string() }) }),
]);

/** The path of every file that a compiled program has in it. */
function filesIn(program: Uint8Array, text: string): string[] {
  const at = text.indexOf('[{"File":{"n":"agent-');
  assert(at > 0, "the program has no list of its files");
  const length = Number(new DataView(program.buffer).getBigUint64(at - 8, true));
  const paths = (entries: Entry[], parent: string): string[] =>
    entries.flatMap((entry) =>
      "Dir" in entry ? paths(entry.Dir.e, `${parent}${entry.Dir.n}/`) : [`${parent}${entry.File.n}`]
    );
  return paths(z.array(Entry).parse(JSON.parse(text.slice(at, at + length))), "");
}

const List = z.array(z.string()).nullish();
const Granted = z.object({
  allow_env: List,
  ignore_env: List,
  allow_sys: List,
  allow_read: List,
  allow_write: List,
  allow_net: List,
  allow_run: List,
  allow_ffi: List,
  prompt: z.boolean(),
});

/** The permissions that a compiled program has in it. */
function permissionsIn(text: string): z.infer<typeof Granted> {
  const json = /"permissions":(\{"allow_env":[^}]*\})/.exec(text)?.[1] ?? "null";
  return Granted.parse(JSON.parse(json));
}

async function compiles(folder: string, target: string, name: string, addon: string) {
  // The file that comes of it is the Deno CLI; what is put into it is what counts here.
  const env = { DENORT_BIN: Deno.execPath() };
  const { code, stdout, stderr } = await build("compile", folder, { target, env });
  assert.equal(code, 0, stderr);
  assert.match(stdout, new RegExp(`/${name}, [\\d.]+ MiB\n$`));
  const program = await Deno.readFile(join(folder, name));
  const text = new TextDecoder("latin1").decode(program);

  assert(text.includes(`commit: "${await sh("git -c safe.directory='*' log -1 --format=%H")}`));
  const files = filesIn(program, text);
  assert(files.includes("agent.js"), files.join("\n"));
  const others = files.filter((path) => !/^[\w-]+\.js$/.test(path));
  const ofAddon = ["README.md", "package.json", "pty.node"];
  assert.deepEqual(others, ofAddon.map((name) => `node_modules/${addon}/${name}`));

  const { env: { allow }, sys } = project.permissions.agent;
  const all: string[] = [];
  assert.deepEqual(permissionsIn(text), {
    ...{ allow_env: allow, ignore_env: all, allow_sys: sys, prompt: false },
    ...{ allow_read: all, allow_write: all, allow_net: all, allow_run: all, allow_ffi: all },
  });
}

Deno.test("compile embeds the agent, what it needs, and its permissions: nothing else", async () => {
  const folder = await Deno.makeTempDir({ prefix: "compile_" });
  try {
    await together({
      amd64: () =>
        compiles(folder, "amd64", "noderax-agent-linux-amd64", "@lydell/node-pty-linux-x64"),
      arm64: () =>
        compiles(
          folder,
          "aarch64-unknown-linux-gnu",
          "noderax-agent-linux-arm64",
          "@lydell/node-pty-linux-arm64",
        ),
    });
    const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    const programs = ["noderax-agent-linux-amd64", "noderax-agent-linux-arm64"];
    assert.deepEqual(names.sort(), ["SHA256SUMS", ...programs]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("compile without a runtime says what to do and leaves nothing behind", async () => {
  const folder = await Deno.makeTempDir({ prefix: "compile_" });
  try {
    const env = { DENORT_BIN: join(folder, "none") };
    const { code, stdout, stderr } = await build("compile", folder, { target: "arm64", env });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /no runtime .*none'?\)\. Set DENORT_BIN .* deno task bundle --target arm64/,
    );
    assert.equal(stdout, "");
    assert.deepEqual(await Array.fromAsync(Deno.readDir(folder)), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
