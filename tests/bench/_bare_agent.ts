/**
 * What every agent on Deno has to do for its tasks, and nothing else: the calls of the contract one
 * after the other, a login shell, and the syncs that a promise needs which a loss of power must not
 * break. There is no gate, no log, no retry, no limit and no cancellation. A task whose command is a
 * number posts so many full log entries in the place of a shell's.
 *
 * @module
 */
const [url = "", nodeId = "", token = "", folder = ""] = Deno.args;
const client = Deno.createHttpClient({});
const headers = {
  authorization: `Bearer ${token}`,
  "x-agent-node-id": nodeId,
  "content-type": "application/json",
};
const ENTRY = "x".repeat(5_000);

async function post(path: string, body: unknown) {
  const how = { method: "POST", headers, client, body: JSON.stringify(body) };
  return await (await fetch(`${url}/api/v1/agent/tasks/${path}`, how)).json();
}

/** Writes what is promised, and has it on disk, its name as well. */
async function promise(path: string, text: string): Promise<Deno.FsFile> {
  const file = await Deno.open(path, { write: true, createNew: true });
  await file.write(new TextEncoder().encode(text));
  await file.sync();
  using names = await Deno.open(folder);
  await names.sync();
  return file;
}

async function run({ id, payload }: { id: string; payload: { command: string } }) {
  const path = `${folder}/${id}`;
  using record = await promise(path, JSON.stringify(payload));
  await post(`${id}/accepted`, {});
  await post(`${id}/started`, {});
  const entries = Number(payload.command);
  for (let i = 0; i < entries; i++) await post(`${id}/logs`, { stream: "stdout", line: ENTRY });
  const args = ["-lc", payload.command];
  const { code: exitCode } = entries > 0
    ? { code: 0 }
    : await new Deno.Command("/bin/sh", { args, stdin: "null" }).output();
  await record.write(new TextEncoder().encode(`\n${exitCode}\n`));
  await record.syncData();
  await post(`${id}/completed`, { status: exitCode === 0 ? "success" : "failed", exitCode });
  await Deno.remove(path);
}

for (;;) {
  const { task } = await post("claim", { maxTasks: 1, waitMs: 15_000 });
  if (task) void run(task);
}
