import assert from "node:assert/strict";
import { join } from "@std/path";
import project from "../deno.json" with { type: "json" };

/** What the agent needs of npm, dependencies of its dependencies included. */
const PACKAGES = [
  "@lydell/node-pty",
  "@lydell/node-pty-linux-arm64",
  "@lydell/node-pty-linux-x64",
  "@socket.io/component-emitter",
  "commander",
  "debug",
  "engine.io-client",
  "engine.io-parser",
  "ms",
  "socket.io-client",
  "socket.io-parser",
  "ws",
  "xmlhttprequest-ssl",
  "zod",
];

/** Every path in the tree that `deno compile` prints. */
function embedded(tree: string): string[] {
  const parents: string[] = [];
  return tree.split("\n").flatMap((line) => {
    const match = /^([│├└─┬ ]*)([^│├└─┬ ].*?) \(/.exec(line);
    if (!match) return [];
    const [, indent = "", name = ""] = match;
    parents.length = Math.round(indent.length / 2);
    parents.push(name);
    return [parents.filter((part) => part !== undefined).join("/")];
  });
}

Deno.test("compile embeds the agent and what it needs, nothing of tests and development", async () => {
  const folder = await Deno.makeTempDir({ prefix: "compile_" });
  try {
    const args = project.tasks.compile.command.split(" ").slice(1)
      .map((arg) => arg.startsWith("dist/") ? join(folder, "noderax-agent") : arg);
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args,
      // The file that comes of it is the Deno CLI; what is put into it is what counts here.
      env: { DENORT_BIN: Deno.execPath(), NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert(success, text);
    const files = embedded(text);
    assert(files.some((path) => path.endsWith("src/agent/agent.ts")), text);
    assert.deepEqual(files.filter((path) => /scripts|tests|_test|_bench/.test(path)), []);
    const packages = files.flatMap((path) => {
      const name = /localhost\/((?:@[^/]+\/)?[^@/][^/]*)(?:\/[\d.]+)?(?:\/\*)?$/.exec(path)?.[1];
      return name ? [name] : [];
    });
    assert(packages.includes("zod") && packages.includes("@lydell/node-pty"), packages.join());
    assert.deepEqual(packages.filter((name) => !PACKAGES.includes(name)), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
