/**
 * `deno task test [FILE …] [option of deno test …]`: the named tests; without a name all of them but
 * those of the builds.
 *
 * @module
 */
const OPTIONS = ["test", "--no-prompt", "-P=test", "--parallel", "--ignore=tests/build"];

/** Whether an argument names something that there is. */
function isPath(argument: string): boolean {
  try {
    return Deno.statSync(argument).isFile || Deno.statSync(argument).isDirectory;
  } catch {
    return false;
  }
}

const paths = Deno.args.some(isPath) ? [] : ["src", "scripts", "tests"];
const child = new Deno.Command(Deno.execPath(), {
  args: [...OPTIONS, ...paths, ...Deno.args],
}).spawn();
Deno.exit((await child.status).code);
