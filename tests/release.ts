/**
 * Runs the tests of the agent as a process on what is released: `deno task test:release [arguments
 * of deno test]`. Each artefact is built and tested in turn; with NODERAX_TEST_COMMAND it is that
 * command line alone, whatever it starts.
 *
 * @module
 */
import { join } from "@std/path";
import { AGENT, FROM_SOURCE } from "./_command.ts";
import { ms } from "./_figures.ts";
import { type Make, portableBundle, Release, runFile } from "./_release.ts";
import { tell } from "./_together.ts";

const HERE = import.meta.dirname ?? "";

const ARTEFACTS: Record<string, Make> = {
  "the portable bundle": portableBundle,
  "the single file": runFile,
};

/** Tests one command; whether all is well. */
async function test(what: string, command: string): Promise<boolean> {
  const startedMs = performance.now();
  tell(`\nThe agent as a process: ${what}, ${command}`);
  const names = await Array.fromAsync(Deno.readDir(HERE), ({ name }) => name);
  const files = names.filter((name) => name.endsWith("_test.ts")).sort();
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "--no-prompt", "-P=test", "--parallel", ...Deno.args],
      ...files.map((name) => join(HERE, name)),
    ],
    env: { NODERAX_TEST_COMMAND: command },
    stdin: "null",
  }).spawn().status;
  tell(`${what}: ${success ? "passed" : "FAILED"} in ${ms(performance.now() - startedMs)}`);
  return success;
}

/** Builds the artefacts and tests each. */
async function testArtefacts(): Promise<boolean> {
  await using release = await Release.build();
  let success = true;
  for (const [what, make] of Object.entries(ARTEFACTS)) {
    success = await test(what, await release.command(make)) && success;
  }
  return success;
}

const success = FROM_SOURCE
  ? await testArtefacts()
  : await test("the given command", AGENT.join(" "));
Deno.exit(success ? 0 : 1);
