/**
 * Runs the tests of the agent as a process on what is released: `deno task test:release [arguments
 * of deno test]`. Each artefact is built and tested in turn; with NODERAX_TEST_COMMAND it is that
 * command line alone, whatever it starts.
 *
 * @module
 */
import { join } from "@std/path";
import { bundle } from "../scripts/_bundle.ts";
import { ReleaseTree } from "../scripts/_release_tree.ts";
import { targetOf } from "../scripts/_target.ts";
import { mustRun } from "../scripts/_tool.ts";
import { NAME } from "../src/system/paths.ts";
import { AGENT, FROM_SOURCE } from "./_command.ts";
import { ms } from "./_figures.ts";
import { tell } from "./_together.ts";

const HERE = import.meta.dirname ?? "";

/** Makes an artefact of the tree in a folder; gives the command that starts the agent from it. */
type Make = (tree: ReleaseTree, folder: string) => Promise<string>;

const ARTEFACTS: Record<string, Make> = {
  "the portable bundle": async (tree, folder) => {
    const archive = await bundle(tree, folder);
    await mustRun("tar", "--extract", "--gzip", "--file", archive, "--directory", folder);
    return join(folder, tree.name, NAME);
  },
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
async function testArtefacts(): Promise<boolean[]> {
  const folder = await Deno.makeTempDir({ prefix: "noderax-release-" });
  const results: boolean[] = [];
  try {
    // Some tests run it as another user.
    await Deno.chmod(folder, 0o755);
    await using tree = await ReleaseTree.make(targetOf(Deno.build.target), folder);
    for (const [what, make] of Object.entries(ARTEFACTS)) {
      results.push(await test(what, await make(tree, folder)));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return results;
}

const results = FROM_SOURCE
  ? await testArtefacts()
  : [await test("the given command", AGENT.join(" "))];
Deno.exit(results.every(Boolean) ? 0 : 1);
