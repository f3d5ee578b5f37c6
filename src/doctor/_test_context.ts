import type { LoadedConfig } from "../config/mod.ts";
import { loadConfig } from "../config/mod.ts";
import type { RunTool } from "../system/tool.ts";
import type { Check, Finding } from "./check.ts";
import { type CheckContext, thisMachine } from "./check_context.ts";

export { tools } from "../system/_test_tools.ts";

/** A machine with this environment, these tools, and `parts` in place of what it would learn. */
export function machine(run: RunTool, parts: Partial<CheckContext> = {}): CheckContext {
  return { ...thisMachine(() => undefined), run, ...parts };
}

/** A configuration that the environment alone sets. */
export function configured(env: Record<string, string>): Promise<LoadedConfig> {
  return loadConfig({ env: (name) => env[name], searchPath: [] });
}

/** What the check of this name finds. */
export async function finding(checks: Check[], name: string): Promise<Finding> {
  const check = checks.find((check) => check.name === name);
  if (!check) throw new Error(`there is no check ${name}`);
  return await check.run(new AbortController().signal);
}
