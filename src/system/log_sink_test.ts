import assert from "node:assert/strict";
import { LogSink } from "./log_sink.ts";

/** A reader that takes what it is given when it is told to. */
class SlowReader {
  text = "";
  #open = Promise.withResolvers<void>();

  async write(bytes: Uint8Array): Promise<number> {
    await this.#open.promise;
    const part = bytes.subarray(0, 70_000);
    this.text += new TextDecoder().decode(part);
    return part.length;
  }

  read(): void {
    this.#open.resolve();
  }
}

Deno.test("lines are written in order, in the background", async () => {
  const reader = new SlowReader();
  const sink = new LogSink(reader);
  const lines = Array.from({ length: 10_000 }, (_, i) => `line ${i}\n`);
  for (const line of lines) sink.write(line);
  assert.equal(reader.text, "");
  reader.read();
  await sink.flush(60_000);
  sink.write("the last\n");
  await sink.flush(60_000);
  assert.equal(reader.text, lines.join("") + "the last\n");
});

Deno.test("what a reader leaves waiting for too long is dropped and counted", async () => {
  const reader = new SlowReader();
  const sink = new LogSink(reader);
  sink.onDropped = (count) => sink.write(`${count} dropped\n`);
  const line = "x".repeat(1_023) + "\n";
  for (let i = 0; i < 3_000; i++) sink.write(line);
  await sink.flush(1);
  reader.read();
  await sink.flush(60_000);
  assert.equal(reader.text, line.repeat(1_024) + `${3_000 - 1_024} dropped\n`);
});

Deno.test("a reader that is gone is not minded", async () => {
  const sink = new LogSink({ write: () => Promise.reject(new Deno.errors.BrokenPipe()) });
  for (let i = 0; i < 3; i++) {
    sink.write("x\n");
    await sink.flush(60_000);
  }
});
