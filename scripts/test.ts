/**
 * `deno task test [FILE …] [option of deno test …]`: the named tests; without a name all of them but
 * those of the builds, which `deno task test:build` runs.
 *
 * @module
 */

/** Whether an argument names something that there is. */
function isPath(argument: string): boolean {
  try {
    return Deno.statSync(argument).isFile || Deno.statSync(argument).isDirectory;
  } catch {
    return false;
  }
}

/**
 * Files by name, as `--ignore` leaves nothing out of a folder that is named. They run in this order:
 * the longest first, so that none of them is left alone in the end.
 */
function everyTest(): string[] {
  const tests = [...Deno.readDirSync("tests")].map(({ name }) => `tests/${name}`)
    .filter((path) => path.endsWith("_test.ts"))
    .map((path) => ({ path, bytes: Deno.statSync(path).size }));
  const longest = tests.sort((a, b) => b.bytes - a.bytes).map(({ path }) => path);
  return [...longest, "tests/system", "scripts", "src"];
}

const isAll = !Deno.args.some(isPath);
// The types of all are checked by `deno task gate`: a second time would take as long again.
const all = isAll ? ["--no-check", ...everyTest()] : [];
// Half of the time a file waits for what takes its time: one file more than cores is none too many.
const jobs = Deno.env.get("DENO_JOBS") ?? String(navigator.hardwareConcurrency + 1);
const child = new Deno.Command(Deno.execPath(), {
  args: ["test", "--no-prompt", "-P=test", "--parallel", ...all, ...Deno.args],
  env: { DENO_JOBS: jobs },
}).spawn();
Deno.exit((await child.status).code);
