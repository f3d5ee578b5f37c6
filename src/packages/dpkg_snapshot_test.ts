import assert from "node:assert/strict";
import { DpkgSnapshot } from "./apt.ts";

const RECORD = "installed\tbase\tbase\t1.0\tall\tA base";

/** What the hook of the option prints for one package. */
function printed(look: DpkgSnapshot, version: string): string {
  const mark = /echo (\S+);/.exec(look.aptOption)?.[1] ?? assert.fail();
  return `${mark}\n${mark}\t${RECORD.replace("1.0", version)}\n`;
}

Deno.test("the look is taken out of apt's output, wherever the lines are cut into batches", () => {
  const look = new DpkgSnapshot();
  assert(!new DpkgSnapshot().records);
  const [first = "", second = ""] = printed(look, "1.0").split(/(?<=\n)/);
  assert.equal(look.take(`Reading\n${first}`), "Reading\n");
  assert.equal(look.take(`${second}Unpacking\n`), "Unpacking\n");
  assert.deepEqual(look.records?.map(({ id, version }) => [id, version]), [["base", "1.0"]]);
});

Deno.test("only the first look counts: a later one sees apt's own changes", () => {
  const look = new DpkgSnapshot();
  assert.equal(
    look.take(printed(look, "1.0") + "Unpacking\n" + printed(look, "2.0")),
    "Unpacking\n",
  );
  assert.deepEqual(look.records?.map(({ version }) => version), ["1.0"]);
});
