import { uninstallAgent } from "../install/uninstall.ts";
import { INSTALLED } from "../system/paths.ts";
import { runTool } from "../system/tool.ts";
import { EXIT_FAILED } from "../system/user_error.ts";
import { complain, print } from "./output.ts";
import { requireRoot } from "./root.ts";

/** Removes what install has made, and says so; gives the exit code. */
export async function uninstall({ purge = false }: { purge?: boolean }): Promise<number> {
  await requireRoot("uninstall");
  const failed = await uninstallAgent({ places: INSTALLED, run: runTool }, {
    purge,
    print,
    warn: complain,
  });
  return failed ? EXIT_FAILED : 0;
}
