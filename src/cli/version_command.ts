import { BUILD, VERSION } from "../system/version.ts";
import { print, PROGRAM } from "./output.ts";

/** Says which agent this is and how it was built; gives the exit code. */
export function version({ json = false }: { json?: boolean }): number {
  const deno = Deno.version.deno;
  if (json) {
    const { commit, date } = BUILD;
    const facts = { name: PROGRAM, version: VERSION, commit: commit || null, date: date || null };
    print(`${JSON.stringify({ ...facts, deno, target: Deno.build.target }, null, 2)}\n`);
    return 0;
  }
  const build = BUILD.commit ? `commit ${BUILD.commit} of ${BUILD.date}` : "from source";
  print(`${PROGRAM} ${VERSION}\n${build}, Deno ${deno}, ${Deno.build.target}\n`);
  return 0;
}
