/**
 * All that `deno task release` makes, made twice: `deno task test:artefacts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "@std/path";
import project from "../../deno.json" with { type: "json" };
import { runTool } from "../../src/system/tool.ts";
import { build } from "../build/_build.ts";
import { ms } from "../_figures.ts";
import { sh } from "../_second_user.ts";
import { tell } from "../_together.ts";

const ARCH = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
const hasTools = (await runTool("dpkg-deb", "--version")).code === 0 &&
  (await runTool("rpmbuild", "--version")).code === 0;
const why = hasTools ? "" : " (ignored: there is no dpkg-deb or no rpmbuild)";

Deno.test({
  name: `two releases of one commit are the same bytes, and signed${why}`,
  ignore: !hasTools,
  async fn() {
    const scratch = await Deno.makeTempDir({ prefix: "release_" });
    try {
      const key = join(scratch, "key.pem");
      await sh('openssl genpkey -algorithm ed25519 -out "$1"', key);
      for (const name of ["one", "two"]) {
        const startedMs = performance.now();
        const output = join(scratch, name);
        const options = { env: { NODERAX_RELEASE_KEY: key } };
        const { code, stdout, stderr } = await build("release", output, options);
        assert.equal(code, 0, stderr);
        tell(`${stdout}in ${ms(performance.now() - startedMs)}`);
      }
      await sh('diff -r "$1/one" "$1/two"', scratch);
      await sh('cd "$1/one" && sha256sum --check --strict SHA256SUMS', scratch);
      const files = await Array.fromAsync(Deno.readDir(join(scratch, "one")), ({ name }) => name);
      const start = `noderax-agent-${project.version}`;
      const each = ["deb", "rpm", "run", "tar.gz"].map((end) => `${start}-linux-${ARCH}.${end}`);
      const sums = ["SHA256SUMS", "SHA256SUMS.sig"];
      assert.deepEqual(files.sort(), [...sums, ...each, `${start}.cdx.json`].sort());
    } finally {
      await Deno.remove(scratch, { recursive: true });
    }
  },
});
