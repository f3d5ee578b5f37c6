import { join } from "@std/path";
import project from "../deno.json" with { type: "json" };
import type { ReleaseTree } from "./_release_tree.ts";
import type { Target } from "./_target.ts";

const STUB = new URL("run_file.sh", import.meta.url);
/** What is before the part that the script's checksum is of. */
const FIRST_LINES = /^#!\/bin\/sh\nsum=(@[^@]{62}@)\n/;

/**
 * Makes the release as one file, `<name>.run`, in a folder; gives its path. It is a script and the
 * tree's archive (gzip, as every system has that), which it unpacks and starts.
 */
export async function makeRunFile(
  { name, scratch, target }: Pick<ReleaseTree, "name" | "scratch" | "target">,
  archive: string,
  outputFolder: string,
): Promise<string> {
  const packed = await Deno.readFile(archive);
  const encoder = new TextEncoder();
  const template = await Deno.readTextFile(STUB);
  const { length } = encoder.encode(fill(template, target, 0, 0));
  const script = fill(template, target, length + 1, length + packed.length);
  const [first = "", hole = ""] = FIRST_LINES.exec(script) ?? [];
  const rest = new Blob([encoder.encode(script.slice(first.length)), packed]);
  const digest = await crypto.subtle.digest("SHA-256", await rest.arrayBuffer());
  const made = join(scratch, `${name}.run`);
  const whole = new Blob([first.replace(hole, new Uint8Array(digest).toHex()), rest]);
  await Deno.writeFile(made, whole.stream());
  await Deno.chmod(made, 0o755);
  const path = join(outputFolder, `${name}.run`);
  await Deno.rename(made, path);
  return path;
}

/** The numbers are padded, so that the script's length does not depend on them. */
function fill(template: string, { machine }: Target, start: number, size: number): string {
  return template
    .replace("@VERSION@", project.version)
    .replace("@MACHINE@", machine)
    .replace(/@START_*@/, (hole) => String(start).padEnd(hole.length))
    .replace(/@SIZE_*@/, (hole) => String(size).padEnd(hole.length));
}
