import assert from "node:assert/strict";
import { runChild } from "./run_child.ts";

/** What a child of a process has open that was itself started with more than it needs. */
async function openInChild(call: string): Promise<string> {
  const module = JSON.stringify(import.meta.resolve("./inherited_descriptors.ts"));
  const program = `import { keepDescriptors } from ${module};
    ${call};
    const { stdout } = await new Deno.Command("ls", { args: ["/proc/self/fd"] }).output();
    await Deno.stdout.write(stdout);`;
  const start = 'exec bash -c \'exec 9</etc/passwd 200<&9; exec "$@"\' sh "$@"';
  const script = ["/bin/sh", "-c", start, "sh", Deno.execPath(), "eval", program];
  const { stdout, stderr } = await runChild(script, { limitMs: 120_000 });
  assert.notEqual(stdout, "", stderr);
  return stdout.trim().replaceAll(/\s+/g, " ");
}

Deno.test("what a process was started with is not open in its children, on any kernel", async () => {
  const open = (await openInChild("")).split(" ");
  assert.deepEqual(open.filter((fd) => ["9", "200"].includes(fd)), ["200", "9"]);
  // The folder that is listed is open as well.
  for (const call of ["using _ = keepDescriptors()", "keepDescriptors({ atOnce: false })"]) {
    assert.equal(await openInChild(call), "0 1 2 3", call);
  }
});
