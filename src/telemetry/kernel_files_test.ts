import assert from "node:assert/strict";
import { readKernelFiles } from "./kernel_files.ts";

Deno.test("files come one after the other, and one that is not there does not stop the rest", async () => {
  const text = await readKernelFiles(["/proc/sys/kernel/ostype", "/proc/none", "/proc/version"]);
  assert.match(text, /^Linux\nLinux version /);
});
