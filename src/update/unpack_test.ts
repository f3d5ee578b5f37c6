import assert from "node:assert/strict";
import { join } from "@std/path";
import { runTool } from "../system/tool.ts";
import { unpack } from "./unpack.ts";

const ROOT = "noderax-agent-2.1.0-linux-amd64";

/** Makes a tree by a script, packs it by another, and gives what came of unpacking it. */
async function unpacked(
  make: string,
  tar = `tar --format=gnu -czf archive.tgz ${ROOT}`,
  maxBytes?: number,
): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "unpack_" });
  try {
    const script = `cd "$0" && mkdir ${ROOT} && ${make} && ${tar}`;
    const { code, stderr } = await runTool("sh", "-c", script, folder);
    assert.equal(code, 0, stderr);
    const target = join(folder, "target");
    const limits = maxBytes === undefined ? {} : { maxBytes };
    await unpack(join(folder, "archive.tgz"), ROOT, target, limits);
    return (await runTool("find", target, "-type", "f", "-printf", "%P %m\n")).stdout;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a release is unpacked without its own folder, modes but for execution left out", async () => {
  const long = `lib/${"long/".repeat(40)}`;
  const make =
    `cd ${ROOT} && mkdir -p ${long} && echo a >noderax-agent && chmod 4711 noderax-agent` +
    ` && head -c 3000 /dev/zero >${long}/file && chmod 666 ${long}/file && cd ..`;
  const lines = (await unpacked(make)).split("\n").toSorted();
  assert.deepEqual(lines, [`${long}file 644`, "noderax-agent 755"]);
});

Deno.test("what leaves the folder, is no file, or is too much refuses the archive", async () => {
  const all = `tar -P -czf archive.tgz`;
  const cases: [make: string, tar: string | undefined, message: RegExp][] = [
    [
      "touch evil",
      `${all} ${ROOT} ${ROOT}/../evil`,
      /"noderax-agent.*\/\.\.\/evil" does not lie in/,
    ],
    ["touch evil", `${all} "$0/evil"`, /"\/.*evil" does not lie in noderax-agent/],
    ["mkdir other", `${all} other`, /"other\/" does not lie in noderax-agent/],
    [`ln -s /etc ${ROOT}/link`, undefined, /link" is neither a file nor a folder/],
    [`touch ${ROOT}/a && ln ${ROOT}/a ${ROOT}/b`, undefined, /[ab]" is neither a file nor/],
    [`mkfifo ${ROOT}/pipe`, undefined, /pipe" is neither a file nor a folder/],
    [`head -c 9999 /dev/zero >${ROOT}/big`, undefined, /it holds more than 5000 bytes/],
    ["echo nonsense >archive.tgz", "true", /The archive is refused: /],
    ["head -c 1024 /dev/urandom | gzip >archive.tgz", "true", /a header is damaged/],
    [
      `head -c 4000 /dev/zero >${ROOT}/a`,
      `tar -cf - ${ROOT} | head -c 2000 | gzip >archive.tgz`,
      /it ends too early/,
    ],
  ];
  for (const [make, tar, message] of cases) {
    await assert.rejects(unpacked(make, tar, 5_000), { name: "UserError", message }, make);
  }
});
