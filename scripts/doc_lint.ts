/**
 * Fails when an exported symbol has no documentation. `deno doc --lint` also wants every type
 * written out, which for a zod schema would be the schema a second time: those rules are left out.
 *
 * @module
 */
const LEFT_OUT = ["missing-explicit-type", "private-type-ref", "missing-return-type"];

async function output(command: string, args: string[]) {
  const child = new Deno.Command(command, { args, env: { NO_COLOR: "1" } });
  const { stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

// Whosever the checkout is.
const git = ["-c", "safe.directory=*"];
const listing = [...git, "ls-files", "--cached", "--others", "--exclude-standard", "src"];
const { stdout } = await output("git", listing);
const files = stdout.trim().split("\n").filter((file) =>
  file.endsWith(".ts") && !/\/_test_|_(test|bench)\.ts$/.test(file)
);
const { stderr } = await output(Deno.execPath(), ["doc", "--lint", "mod.ts", ...files]);
if (!/^error: Found \d+ documentation lint error|^Checked/m.test(stderr)) throw new Error(stderr);
const problems = stderr.split(/^(?=error\[)/m)
  .filter((text) => text.startsWith("error["))
  .filter((text) => !LEFT_OUT.some((rule) => text.startsWith(`error[${rule}]`)));
// deno-lint-ignore no-console
console.error(problems.join(""), `${files.length} files, ${problems.length} undocumented`);
Deno.exit(problems.length > 0 ? 1 : 0);
