import { INSTALLED, PREPARE } from "../src/system/paths.ts";
import { RUNTIME_FLAGS, V8_FLAGS } from "./_program.ts";

/** The script that is the bundle's program: it starts the agent on the Deno beside it. */
export function launcher(): string {
  return `#!/bin/sh
# The Noderax agent: starts lib/agent.js on lib/deno, with the permissions that lib/deno.json states.
program=$0
if [ -L "$0" ] || [ "\${0#/}" = "$0" ]; then program=$(readlink -f "$0") || exit; fi
# Deno ends with a panic where it cannot find out what program it is.
[ -e /proc/self/exe ] || {
  echo "noderax-agent: there is no /proc here, without which the agent cannot run (fix: mount -t proc proc /proc)" >&2
  exit 1
}
folder=\${program%/*}/lib
# Deno does not start in a folder that has been removed.
[ . -ef "$PWD" ] || cd /
# With what Deno keeps of the program it starts quicker and stays smaller: beside it, else where the
# service has a folder. Nothing is written to anybody's home, or to what belongs to somebody else.
if [ "\${1-}" = ${PREPARE} ] && [ -n "\${2-}" ]; then
  DENO_DIR=$2
elif [ -O "\${program%/*}" ] && [ -w "\${program%/*}" ]; then
  DENO_DIR=\${program%/*}/cache
elif [ -w ${INSTALLED.cacheFolder} ]; then
  DENO_DIR=${INSTALLED.cacheFolder}
else
  DENO_DIR=/dev/null
fi
# Whatever the umask says: who can write there has what is run from it.
[ -e "$DENO_DIR" ] || mkdir -p -m 0700 "$DENO_DIR" 2>/dev/null
# Deno warns that permissions in a file are new to it, and complains at a terminal of a missing cache.
export DENO_DIR DENO_LOG=error,deno::cache::cache_db=off
# Nor is Deno to pass for Node where there is none.
export DENO_DISABLE_NODE_SHIM=1 DENO_NO_UPDATE_CHECK=1
# In a process list they would fill a row.
export DENO_V8_FLAGS=${V8_FLAGS}
# Traces are for a running agent, if OTEL_DENO asks for them. Nothing else is exported, and values that
# Deno does not start with end the traces alone.
case \${OTEL_DENO-}/\${1-run}/\${3-} in
1/run/* | [Tt]rue/run/* | TRUE/run/* | 1/--config/run | [Tt]rue/--config/run | TRUE/--config/run)
  export OTEL_DENO=true OTEL_DENO_TRACING=true OTEL_DENO_CONSOLE=ignore OTEL_DENO_METRICS=false
  export OTEL_SERVICE_NAME="\${OTEL_SERVICE_NAME:-noderax-agent}"
  # The agent decides what is traced: else calls whose path is secret would be.
  case \${OTEL_TRACES_SAMPLER:=always_on} in
  always_off | parentbased_*) ;;
  *) OTEL_TRACES_SAMPLER=parentbased_$OTEL_TRACES_SAMPLER ;;
  esac
  export OTEL_TRACES_SAMPLER
  why=$(NO_COLOR=1 "$folder/deno" eval 0 2>&1) || {
    echo "noderax-agent: no traces, because Deno refuses the OTEL variables: $(echo "$why" | sed -n 1p)" >&2
    unset OTEL_DENO OTEL_DENO_TRACING
  } ;;
*) unset OTEL_DENO OTEL_DENO_TRACING OTEL_DENO_METRICS OTEL_DENO_CONSOLE ;;
esac
exec "$folder/deno" run -P ${RUNTIME_FLAGS.join(" ")} "$folder/agent.js" "$@"
`;
}
