import assert from "node:assert/strict";
import { outputOf, readKernelFiles } from "./kernel_files.ts";

Deno.test("files come one after the other, and one that is not there does not stop the rest", async () => {
  const text = await readKernelFiles(["/proc/sys/kernel/ostype", "/proc/none", "/proc/version"]);
  assert.match(text, /^Linux\nLinux version /);
});

Deno.test("a program that is not there is an error", async () => {
  await assert.rejects(outputOf("/nowhere/cat", []), Deno.errors.NotFound);
});

Deno.test("an abort ends the child", async () => {
  const stop = new AbortController();
  const output = outputOf("sleep", ["60"], stop.signal);
  stop.abort(new Error("stopped"));
  await assert.rejects(output, { message: "stopped" });
});

Deno.test("a child that does not answer is ended", async () => {
  await assert.rejects(outputOf("sleep", ["60"], undefined, 20), /sleep gave no answer in 20 ms/);
});
