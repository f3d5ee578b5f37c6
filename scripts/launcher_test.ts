import assert from "node:assert/strict";
import { join } from "@std/path";
import { launcher } from "./_launcher.ts";

/** A launcher whose program says which variables of the exporter it has. */
async function unpacked(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "launcher-" });
  await Deno.mkdir(join(folder, "lib"));
  await Deno.writeTextFile(join(folder, "noderax-agent"), launcher(), { mode: 0o755 });
  await Deno.symlink(Deno.execPath(), join(folder, "lib/deno"));
  const config = { workspace: [], lock: false, permissions: { default: { env: true } } };
  await Deno.writeTextFile(join(folder, "lib/deno.json"), JSON.stringify(config));
  const program = "console.log(JSON.stringify(Object.entries(Deno.env.toObject())" +
    ".filter(([name]) => name.startsWith('OTEL_')).sort().map((pair) => pair.join('='))));";
  await Deno.writeTextFile(join(folder, "lib/agent.js"), program);
  return folder;
}

Deno.test("the launcher asks for traces of a running agent alone, and survives wrong values", async () => {
  const folder = await unpacked();
  try {
    const start = async (args: string[], given: Record<string, string>) => {
      const env = { PATH: Deno.env.get("PATH") ?? "", ...given };
      const options = { args, env, clearEnv: true };
      const { code, stdout, stderr } = await new Deno.Command(
        join(folder, "noderax-agent"),
        options,
      ).output();
      const complaint = new TextDecoder().decode(stderr);
      assert.equal(code, 0, complaint);
      return { variables: JSON.parse(new TextDecoder().decode(stdout)), complaint };
    };
    const traces = [
      "OTEL_DENO=true",
      "OTEL_DENO_CONSOLE=ignore",
      "OTEL_DENO_METRICS=false",
      "OTEL_DENO_TRACING=true",
      "OTEL_SERVICE_NAME=noderax-agent",
      "OTEL_TRACES_SAMPLER=parentbased_always_on",
    ];
    const none = { variables: [], complaint: "" };
    const [plain, one, named, other, stray, all, wrong] = await Promise.all([
      start(["run"], {}),
      start([], { OTEL_DENO: "1", OTEL_DENO_CONSOLE: "capture" }),
      start(["--config", "x", "run"], { OTEL_DENO: "true" }),
      start(["status"], { OTEL_DENO: "true", OTEL_DENO_TRACING: "true" }),
      start(["run"], { OTEL_DENO: "maybe", OTEL_DENO_CONSOLE: "capture" }),
      start(["run"], { OTEL_DENO: "true", OTEL_TRACES_SAMPLER: "always_on" }),
      start(["run"], { OTEL_DENO: "true", OTEL_EXPORTER_OTLP_PROTOCOL: "pigeon" }),
    ]);
    assert.deepEqual(plain, none);
    assert.deepEqual(one, { variables: traces, complaint: "" });
    assert.deepEqual(named, { variables: traces, complaint: "" });
    assert.deepEqual(other, none);
    assert.deepEqual(stray, none);
    assert.deepEqual(all, { variables: traces, complaint: "" });
    assert.match(
      wrong.complaint,
      /^noderax-agent: no traces, because Deno refuses the OTEL variables: error: .*pigeon/,
    );
    assert(!wrong.variables.includes("OTEL_DENO=true"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
