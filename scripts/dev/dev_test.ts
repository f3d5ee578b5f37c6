import assert from "node:assert/strict";
import { resolve } from "@std/path";

const root = resolve(import.meta.dirname ?? ".", "../..");

/** `deno task dev` with these lines on standard input. */
async function dev(input: string): Promise<{ code: number; text: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "-P=dev", "scripts/dev/dev.ts"],
    cwd: root,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("dev runs the commands of standard input one after the other and leaves", async () => {
  const { code, text } = await dev("echo hello; echo oops >&2; exit 3\nseq 2\n:nonsense\n");
  assert.match(text, /^page: http:\/\/127\.0\.0\.1:\d+\/#[0-9a-f]{32}$/m);
  const story = [
    /#1 queued: echo hello/,
    /#1 accepted/,
    /#1 running/,
    /#1 (stdout\| hello\n#1 stderr\| oops|stderr\| oops\n#1 stdout\| hello)/,
    /#1 failed, exit code 3, ran \d+ ms/,
    /#2 queued: seq 2/,
    /#2 stdout\| 1\n#2 stdout\| 2/,
    /#2 success, exit code 0/,
    /agent\| info agent stopped/,
  ];
  let rest = text.replaceAll(/agent\| (?!info agent stopped).*\n|There is no .*\n/g, "");
  for (const step of story) {
    const found = step.exec(rest);
    assert.ok(found, `${step} is not in what is left of it: ${rest}\nThe whole:\n${text}`);
    rest = rest.slice(found.index + found[0].length);
  }
  assert.match(text, /There is no :nonsense/);
  assert.equal(code, 0);
});

Deno.test("dev ends with the exit code of the last command, and its page stays where it is", async () => {
  const first = await dev("true\nexit 7\n");
  assert.equal(first.code, 7, first.text);
  const page = /^page: .*#([0-9a-f]+)$/m;
  const second = await dev("true\n");
  assert.equal(second.code, 0, second.text);
  assert.ok(page.exec(first.text)?.[1]);
  assert.equal(page.exec(first.text)?.[1], page.exec(second.text)?.[1], "the same key");
});
