import manifest from "../../deno.json" with { type: "json" };
import build from "./build.json" with { type: "json" };

/** The agent's version, as deno.json states it. */
export const VERSION: string = manifest.version;

/**
 * The commit that a release was built from, and the date of that commit in ISO 8601; both are empty
 * when the agent runs from source.
 */
export const BUILD: { readonly commit: string; readonly date: string } = build;
