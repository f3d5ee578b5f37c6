import assert from "node:assert/strict";
import { withFifos } from "./_test_fifos.ts";
import { gatePath, UnitGate } from "./unit_gate.ts";
import { signalNumber } from "../system/signal_number.ts";
import { LAUNCH, launchText, NOT_LAUNCHED } from "./unit_launch.ts";

interface Ran {
  code: number;
  stdout: string;
  isHeld: boolean;
}

/** Starts a launch that reads at a gate, and lets `use` open it or not. */
async function behindGate(
  text: string,
  use: (gate: UnitGate, folder: string) => Promise<void>,
): Promise<Ran> {
  const { promise, resolve } = Promise.withResolvers<Ran>();
  await withFifos(async (folder) => {
    using gate = new UnitGate(folder, 0, text);
    const child = new Deno.Command("setsid", {
      args: [
        "sh",
        "-c",
        'exec <"$0"; echo; exec "$@"',
        `/proc/${Deno.pid}/fd/${gate.reader}`,
        ...LAUNCH,
      ],
      ...{ stdout: "piped", stderr: "null" },
    }).spawn();
    const output = child.stdout.getReader();
    await output.read();
    await use(gate, folder);
    let stdout = "";
    for await (const text of readTexts(output)) stdout += text;
    const isHeld = await Deno.lstat(gatePath(folder)).then(() => true, () => false);
    resolve({ code: (await child.status).code, stdout, isHeld });
  });
  return await promise;
}

async function* readTexts(reader: ReadableStreamDefaultReader<Uint8Array>): AsyncGenerator<string> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield new TextDecoder().decode(value);
  }
}

const PRINTING = launchText(["echo", "begun"], {});

Deno.test("what waits at a gate runs what it is told, and is no more seen as waiting", async () => {
  const ran = await behindGate(PRINTING, (gate) => gate.open());
  assert.deepEqual(ran, { code: 0, stdout: "begun\n", isHeld: false });
});

Deno.test("a gate takes a text that is longer than a pipe", async () => {
  const text = launchText(["true"], {}).replace(
    "set --",
    `: ${"x".repeat(1_000_000)}\necho all\nset --`,
  );
  const ran = await behindGate(text, (gate) => gate.open());
  assert.deepEqual(ran, { code: 0, stdout: "all\n", isHeld: false });
});

Deno.test("what waits at a gate that nobody opens goes, and runs nothing", async () => {
  const ran = await behindGate(PRINTING, (gate) => {
    gate[Symbol.dispose]();
    return Promise.resolve();
  });
  assert.deepEqual(ran, { code: 128 + signalNumber(NOT_LAUNCHED), stdout: "", isHeld: true });
});

Deno.test("what was told all has begun, whatever has become of the file that says that it waits", async () => {
  const ran = await behindGate(PRINTING, async (gate, folder) => {
    await Deno.remove(gatePath(folder));
    await gate.open();
  });
  assert.deepEqual(ran, { code: 0, stdout: "begun\n", isHeld: false });
});
