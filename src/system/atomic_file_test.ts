import assert from "node:assert/strict";
import { join } from "@std/path";
import { writeFileAtomic } from "./atomic_file.ts";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "atomic_" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function modeOf(path: string): Promise<number> {
  return ((await Deno.stat(path)).mode ?? 0) & 0o777;
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name)).toSorted();
}

Deno.test("a file is made and replaced, with its mode, and nothing is left beside it", () =>
  withFolder(async (folder) => {
    const path = join(folder, "file");
    await writeFileAtomic(path, "größer");
    assert.equal(await Deno.readTextFile(path), "größer");
    assert.equal(await modeOf(path), 0o600);

    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    await writeFileAtomic(path, bytes, { mode: 0o666, syncFolder: false });
    assert.deepEqual(await Deno.readFile(path), bytes);
    assert.equal(await modeOf(path), 0o666, "the umask has no say");

    await writeFileAtomic(path, "");
    assert.equal((await Deno.stat(path)).size, 0);
    assert.equal(await modeOf(path), 0o600);
    assert.deepEqual(await namesIn(folder), ["file"]);
  }));

Deno.test("a reader of the old file keeps the old content", () =>
  withFolder(async (folder) => {
    const path = join(folder, "file");
    await writeFileAtomic(path, "old");
    using reader = await Deno.open(path);
    await writeFileAtomic(path, "new");
    const buffer = new Uint8Array(10);
    const length = await reader.read(buffer);
    assert.equal(new TextDecoder().decode(buffer.subarray(0, length ?? 0)), "old");
    assert.equal(await Deno.readTextFile(path), "new");
  }));

Deno.test("missing folders are made for their owner alone, by writers at the same time too", () =>
  withFolder(async (folder) => {
    const deep = join(folder, "a/b/c");
    await Promise.all(["1", "2", "3"].map((name) => writeFileAtomic(join(deep, name), name)));
    assert.deepEqual(await namesIn(deep), ["1", "2", "3"]);
    for (const made of ["a", "a/b", "a/b/c"]) {
      assert.equal(await modeOf(join(folder, made)), 0o700);
    }
  }));

Deno.test("writers at the same time leave the whole content of one of them", () =>
  withFolder(async (folder) => {
    const path = join(folder, "file");
    const contents = ["a", "b", "c", "d"].map((letter) => letter.repeat(100_000));
    await Promise.all(contents.map((content) => writeFileAtomic(path, content)));
    assert(contents.includes(await Deno.readTextFile(path)));
    assert.deepEqual(await namesIn(folder), ["file"]);
  }));

Deno.test("a symbolic link stays one and its target is replaced, where that is wished", () =>
  withFolder(async (folder) => {
    const target = join(folder, "real/sub/file");
    await writeFileAtomic(target, "old");
    await Deno.symlink("real/sub", join(folder, "linked"));
    await Deno.symlink("linked/file", join(folder, "once"));
    await Deno.symlink("once", join(folder, "twice"));
    const followLinks = true;
    await writeFileAtomic(join(folder, "twice"), "fresh", { followLinks });
    assert.equal(await Deno.readTextFile(target), "fresh");
    assert((await Deno.lstat(join(folder, "once"))).isSymlink);

    await Deno.symlink("../missing", join(folder, "real/sub/dangling"));
    await writeFileAtomic(join(folder, "linked/dangling"), "made", { followLinks });
    assert.equal(await Deno.readTextFile(join(folder, "real/missing")), "made");
    await writeFileAtomic(join(folder, "linked/new"), "new");
    assert.deepEqual(await namesIn(join(folder, "real/sub")), ["dangling", "file", "new"]);

    const loop = join(folder, "loop");
    await Deno.symlink("loop", loop);
    await assert.rejects(writeFileAtomic(loop, "x", { followLinks }), Deno.errors.FilesystemLoop);
    assert.deepEqual(await namesIn(folder), ["linked", "loop", "once", "real", "twice"]);

    await writeFileAtomic(join(folder, "once"), "in its place");
    assert.ok((await Deno.lstat(join(folder, "once"))).isFile);
    assert.equal(await Deno.readTextFile(target), "fresh");
  }));

Deno.test("a failed write leaves the old content and no file behind", () =>
  withFolder(async (folder) => {
    const path = join(folder, "taken");
    await Deno.mkdir(join(path, "full"), { recursive: true });
    await assert.rejects(writeFileAtomic(path, "x"));
    assert.deepEqual(await namesIn(folder), ["taken"]);

    await Deno.writeTextFile(join(folder, "file"), "old");
    await assert.rejects(writeFileAtomic(join(folder, "file/below"), "x"));
    assert.equal(await Deno.readTextFile(join(folder, "file")), "old");
  }));

Deno.test({
  name: "root keeps the owner and the group of the file it replaces",
  ignore: Deno.uid() !== 0,
  fn: () =>
    withFolder(async (folder) => {
      const path = join(folder, "file");
      await Deno.writeTextFile(path, "old");
      await Deno.chown(path, 12_345, 23_456);
      await writeFileAtomic(path, "new");
      const { uid, gid } = await Deno.stat(path);
      assert.deepEqual([uid, gid], [12_345, 23_456]);
      assert.equal(await modeOf(path), 0o600);
    }),
});
