/**
 * The Noderax agent's command line: `deno run -P=agent mod.ts <subcommand>`.
 *
 * @module
 */
import { main } from "./src/cli/main.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));
