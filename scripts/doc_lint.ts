/**
 * Fails when an exported symbol has no documentation. `deno doc --lint` also wants every type
 * written out, which for a zod schema would be the schema a second time: those rules are left out.
 *
 * @module
 */
import $ from "@david/dax";

const LEFT_OUT = ["missing-explicit-type", "private-type-ref", "missing-return-type"];

const { stdout } = await $`git ls-files --cached --others --exclude-standard src`.stdout("piped");
const files = stdout.trim().split("\n").filter((file) => !/_(test|bench)\.ts$/.test(file));
const { stderr } = await $`${Deno.execPath()} doc --lint mod.ts ${files}`
  .env("NO_COLOR", "1").noThrow().stdout("null").stderr("piped");
if (!/^error: Found \d+ documentation lint error|^Checked/m.test(stderr)) throw new Error(stderr);
const problems = stderr.split(/^(?=error\[)/m)
  .filter((text) => text.startsWith("error["))
  .filter((text) => !LEFT_OUT.some((rule) => text.startsWith(`error[${rule}]`)));
for (const problem of problems) $.logError(problem.trimEnd());
$.logLight(`${files.length} files, ${problems.length} undocumented`);
Deno.exit(problems.length > 0 ? 1 : 0);
