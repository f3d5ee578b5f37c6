import assert from "node:assert/strict";
import { join } from "@std/path";
import { runTool } from "../system/tool.ts";
import { makeRelease, ReleaseKey } from "./_test_release.ts";
import { stageRelease } from "./stage_release.ts";
import { UpdateSource } from "./update_source.ts";

const KEY = new ReleaseKey();
const OTHER = new ReleaseKey();

/** Stages version 2.1.0 of a source that `make` fills; gives whether it was verified. */
async function staged(
  make: (source: string) => Promise<unknown>,
  { keys = KEY.text, maxArtefactBytes }: { keys?: string; maxArtefactBytes?: number } = {},
): Promise<{ text: string }> {
  const folder = await Deno.makeTempDir({ prefix: "stage_" });
  try {
    const base = join(folder, "source");
    await Deno.mkdir(base);
    await make(base);
    const release = await stageRelease({
      source: new UpdateSource(base, maxArtefactBytes === undefined ? {} : { maxArtefactBytes }),
      keys,
      version: "2.1.0",
      folder,
      run: runTool,
      onVerifying: () => Promise.resolve(),
      signal: new AbortController().signal,
    });
    return { text: await Deno.readTextFile(release.program) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a signed release is staged, whichever of the trusted keys has signed it", async () => {
  for (const keys of [KEY.text, `${OTHER.text}, ${KEY.text}`]) {
    const { text } = await staged((source) => makeRelease(source, "2.1.0", KEY), { keys });
    assert.match(text, /2\.1\.0/);
  }
});

Deno.test("a release that is not wholly what was signed is refused, before it is unpacked", async () => {
  const cases: [(source: string) => Promise<unknown>, RegExp][] = [
    [(source) => makeRelease(source, "2.1.0", OTHER), /not signed by a key of update_public_key/],
    [async (source) => {
      const { folder } = await makeRelease(source, "2.1.0", KEY);
      await Deno.remove(join(folder, "SHA256SUMS.sig"));
    }, /SHA256SUMS\.sig cannot be read/],
    [async (source) => {
      const { folder } = await makeRelease(source, "2.1.0", KEY);
      await Deno.writeTextFile(join(folder, "SHA256SUMS"), "\n", { append: true });
    }, /not signed by a key/],
    // The signed release of another version, under this one's name.
    [async (source) => {
      const { folder } = await makeRelease(source, "2.0.5", KEY);
      await Deno.rename(folder, join(source, "2.1.0"));
    }, /does not name noderax-agent-2\.1\.0-linux-.*: it belongs to another version/],
    [async (source) => {
      const { archive } = await makeRelease(source, "2.1.0", KEY);
      await Deno.writeTextFile(archive, "x", { append: true });
    }, /is not what was signed \(its SHA-256 is another\)/],
    [(source) => makeRelease(source, "2.1.0", KEY, "2.0.5"), /holds version 2\.0\.5: it is not/],
    [async (source) => {
      const { folder } = await makeRelease(source, "2.1.0", KEY);
      await Deno.truncate(join(folder, "SHA256SUMS"), 100_000);
    }, /SHA256SUMS is larger than 65536 bytes/],
    [() => Promise.resolve(), /2\.1\.0\/SHA256SUMS cannot be read: No such file/],
  ];
  for (const [make, message] of cases) {
    await assert.rejects(staged(make), { name: "UserError", message });
  }
  const large = staged((source) => makeRelease(source, "2.1.0", KEY), { maxArtefactBytes: 100 });
  await assert.rejects(large, { message: /tar\.gz is larger than 100 bytes/ });
  const noKey = staged((source) => makeRelease(source, "2.1.0", KEY), { keys: "abc" });
  await assert.rejects(noKey, { message: /"abc" is no Ed25519 public key/ });
});
