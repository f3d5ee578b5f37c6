import { dirname, join } from "@std/path";
import { UserError } from "../system/user_error.ts";
import { NAME } from "../system/paths.ts";
import { isThere } from "./machine.ts";

/** The parts of a portable bundle. */
const BUNDLE = [NAME, "lib", "LICENSE", "LICENSES-OF-OTHERS"];

/** What this program is made of, as it lies on this machine now. */
export interface Release {
  /** The folder that it lies in. */
  folder: string;
  /** Its files and folders: where they are, and their name in the program folder. */
  parts: { from: string; as: string }[];
  /** What is run to install it, by whoever has it. */
  program: string;
}

/**
 * Finds out what this program is made of. Throws a {@linkcode UserError} when it runs from source:
 * there is nothing that could be installed then.
 */
export async function findRelease(
  { standalone = Deno.build.standalone, execPath = Deno.execPath(), runFile }: {
    standalone?: boolean;
    execPath?: string;
    /** The file that it was unpacked from. */
    runFile?: string | undefined;
  } = {},
): Promise<Release> {
  if (standalone) {
    const program = await Deno.realPath(execPath);
    return { folder: dirname(program), parts: [{ from: program, as: NAME }], program };
  }
  const folder = dirname(dirname(await Deno.realPath(execPath)));
  const isBundle = await isThere(join(folder, NAME)) && await isThere(join(folder, "lib", "deno"));
  if (!isBundle) {
    throw new UserError(
      "This program runs from source: run `sudo npx -y deno@2.9.6 task install-service` in the " +
        "checkout, which builds what can be installed.",
    );
  }
  const parts = BUNDLE.map((name) => ({ from: join(folder, name), as: name }));
  const there = await Promise.all(parts.map(({ from }) => isThere(from)));
  const program = runFile ?? join(folder, NAME);
  return { folder, parts: parts.filter((_, at) => there[at]), program };
}
