import * as z from "@zod/zod";
import project from "../deno.json" with { type: "json" };
import { INSTALLED } from "../src/system/paths.ts";
import { RUNTIME_FLAGS } from "./_program.ts";

const Names = z.union([z.boolean(), z.array(z.string())]);
const Permission = z.union([
  Names.transform((allow) => ({ allow })),
  z.strictObject({ allow: Names, deny: Names, ignore: Names }).partial(),
]);
const Permissions = z.record(z.string(), Permission);

/** What keeps Deno from looking for anything but the program. */
const ALONE = ["--no-config", "--no-lock", "--no-npm", "--no-remote"];

/** The flags of `deno run` that give the permissions of a set as deno.json states it. */
function permissionFlags(set: unknown): string[] {
  return Object.entries(Permissions.parse(set)).flatMap(([name, rules]) =>
    Object.entries(rules).flatMap(([rule, names]) => {
      if (!names) return [];
      return names === true ? `--${rule}-${name}` : `--${rule}-${name}=${names.join(",")}`;
    })
  );
}

/** The script that is the bundle's program: it starts the agent on the Deno beside it. */
export function launcher(): string {
  const flags = [...RUNTIME_FLAGS, ...ALONE, ...permissionFlags(project.permissions.agent)];
  return `#!/bin/sh
# The Noderax agent: starts lib/agent.js on lib/deno, with no more permissions than it needs.
program=$(readlink -f "$0") || exit
folder=\${program%/*}/lib
# Deno does not start in a folder that has been removed.
[ -n "$(pwd -P 2>/dev/null)" ] || cd /
# With a cache it starts quicker and stays smaller; without, nothing is written to anybody's home.
DENO_DIR=${INSTALLED.cacheFolder}
[ -w "$DENO_DIR" ] || DENO_DIR=/dev/null
# Without one Deno would complain of that to whoever sits at a terminal.
export DENO_DIR DENO_LOG=info,deno::cache::cache_db=off
# Nor is Deno to pass for Node where there is none.
export DENO_DISABLE_NODE_SHIM=1 DENO_NO_UPDATE_CHECK=1
exec "$folder/deno" run \\
${flags.map((flag) => `  '${flag}' \\\n`).join("")}  "$folder/agent.js" "$@"
`;
}
