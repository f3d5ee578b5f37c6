import { INSTALLED } from "../src/system/paths.ts";
import { RUNTIME_FLAGS } from "./_program.ts";

/** The script that is the bundle's program: it starts the agent on the Deno beside it. */
export function launcher(): string {
  return `#!/bin/sh
# The Noderax agent: starts lib/agent.js on lib/deno, with the permissions that lib/deno.json states.
program=$(readlink -f "$0") || exit
# Deno ends with a panic where it cannot find out what program it is.
[ -e /proc/self/exe ] || {
  echo "noderax-agent: there is no /proc here, without which the agent cannot run (fix: mount -t proc proc /proc)" >&2
  exit 1
}
folder=\${program%/*}/lib
# Deno does not start in a folder that has been removed.
[ -n "$(pwd -P 2>/dev/null)" ] || cd /
# With a cache it starts quicker and stays smaller; without, nothing is written to anybody's home.
DENO_DIR=${INSTALLED.cacheFolder}
[ -w "$DENO_DIR" ] || DENO_DIR=/dev/null
# Deno warns that permissions in a file are new to it, and complains at a terminal of a missing cache.
export DENO_DIR DENO_LOG=error,deno::cache::cache_db=off
# Nor is Deno to pass for Node where there is none.
export DENO_DISABLE_NODE_SHIM=1 DENO_NO_UPDATE_CHECK=1
exec "$folder/deno" run -P ${RUNTIME_FLAGS.join(" ")} "$folder/agent.js" "$@"
`;
}
