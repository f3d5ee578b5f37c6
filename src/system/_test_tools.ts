import type { RunTool, ToolResult } from "./tool.ts";

/** A machine whose tools answer as told, by their command line; it has no others. */
export function tools(answers: Record<string, string | Partial<ToolResult>>): RunTool {
  return (...argv) => {
    const answer = answers[argv.join(" ")] ?? { code: 127 };
    const parts = typeof answer === "string" ? { stdout: answer } : answer;
    return Promise.resolve({ code: 0, stdout: "", stderr: "", ...parts });
  };
}
