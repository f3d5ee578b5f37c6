import assert from "node:assert/strict";
import { agentCommand, FROM_SOURCE } from "./_command.ts";

const TOKEN = "a-bootstrap-token-of-somebody";

/** Runs the command with these arguments, as whom this test is run. */
async function agent(...args: string[]) {
  const { code, stdout, stderr } = await agentCommand(args, {
    env: { NODERAX_BOOTSTRAP_TOKEN: TOKEN },
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("a usage error of install is one sentence and exit code 2, before anything else", async () => {
  const cases: [string[], RegExp][] = [
    [
      ["install", "--api-url", "ftp://host"],
      /api_url is "ftp:\/\/host" .*must be an http or https/,
    ],
    [["install", "--email", "nobody"], /--email is "nobody", but must be an address/],
    [["install", "--log-level", "loud"], /log_level is "loud" .*must be one of debug, info/],
    [["install", "--fast"], /unknown option '--fast'/],
    [["uninstall", "--everything"], /unknown option '--everything'/],
  ];
  await Promise.all(cases.map(async ([args, sentence]) => {
    const { code, output } = await agent(...args);
    assert.equal(code, 2, output);
    assert.match(output, sentence);
    assert.doesNotMatch(output, /^\s+at /m);
  }));
});

// What is released would install itself.
const ignore = !FROM_SOURCE && Deno.uid() === 0;

Deno.test("from source, or by another than root, install says what to do instead", {
  ignore,
}, async () => {
  const { code, output } = await agent("install", "--non-interactive");
  assert.equal(code, 1, output);
  const wanted = Deno.uid() === 0
    ? /deno@2\.9\.6 task install-service/
    : /sudo noderax-agent install/;
  assert.match(output, wanted);
  assert.ok(!output.includes(TOKEN));
});
