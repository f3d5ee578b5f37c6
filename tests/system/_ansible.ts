import { join } from "@std/path";
import { runTool } from "../../src/system/tool.ts";
import { tell } from "../_together.ts";
import { cacheFolder } from "./_rootfs.ts";
import { TemporaryFolder } from "./_temporary_folder.ts";

const ANSIBLE = "ansible-core==2.17.14";

/**
 * The folder of Ansible for the Python of a root folder, fetched from PyPI by this machine's pip on
 * the first call and kept in the cache; undefined, and said why, where it cannot be had.
 */
export async function ansibleFor(rootFolder: string): Promise<string | undefined> {
  const version = await runTool("readlink", join(rootFolder, "usr/bin/python3"));
  const python = version.stdout.replace("python", "");
  const folder = join(cacheFolder(), `${ANSIBLE}-python${python}`);
  const isThere = await Deno.stat(folder).then(() => true, () => false);
  if (isThere) return folder;
  await using partial = await TemporaryFolder.make({ dir: cacheFolder(), prefix: "partial-" });
  const target = ["--python-version", python, "--only-binary=:all:", "--target", partial.path];
  const pip = [
    "python3",
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
  ] as const;
  const { code, stderr } = await runTool(...pip, ...target, ANSIBLE);
  // Where hooks of pip's follow they are not what counts.
  const isWhole = code === 0 ||
    await Deno.stat(join(partial.path, "bin/ansible-playbook")).then(() => true, () => false);
  if (isWhole) {
    await Deno.chmod(partial.path, 0o755);
    await Deno.rename(partial.path, folder);
    return folder;
  }
  const why = stderr.trimEnd().split("\n").at(-1);
  tell(`the Ansible role was not run: pip cannot install ${ANSIBLE} (${why})`);
  return undefined;
}
