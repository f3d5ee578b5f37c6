import { join } from "@std/path";
import { cString, openLibc } from "../system/libc.ts";
import { readinessClosed } from "../system/readiness.ts";

/** A folder with the FIFOs of a unit, which goes after `test`. */
export async function withFifos(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "unit_" });
  try {
    using libc = openLibc();
    for (const name of ["stdout", "stderr"]) {
      const path = join(folder, name);
      libc.check(libc.symbols.mkfifo(cString(path), 0o600), path);
    }
    await test(folder);
  } finally {
    await readinessClosed();
    // A program that was refused has removed it.
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
}
