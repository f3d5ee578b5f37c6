import assert from "node:assert/strict";
import { join } from "@std/path";
import * as z from "@zod/zod";
import project from "../../deno.json" with { type: "json" };
import { signChecksums, writeChecksums } from "../../scripts/_checksums.ts";
import { licensesOf } from "../../scripts/_licenses.ts";
import { DENO_VERSION } from "../../scripts/_release_tree.ts";
import { writeSbom } from "../../scripts/_sbom.ts";
import { sh } from "../_second_user.ts";

const LOCK = join(import.meta.dirname ?? "", "..", "..", "deno.lock");

const Sbom = z.object({
  bomFormat: z.literal("CycloneDX"),
  specVersion: z.literal("1.6"),
  serialNumber: z.string().regex(/^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  components: z.array(z.object({
    "bom-ref": z.string(),
    purl: z.string(),
    name: z.string(),
    version: z.string(),
    licenses: z.array(z.object({ expression: z.string() })).optional(),
    hashes: z.array(z.object({ alg: z.string(), content: z.string() })).optional(),
  })),
  dependencies: z.array(z.object({ ref: z.string(), dependsOn: z.array(z.string()) })),
});

Deno.test("SHA256SUMS is of what is released, and one command checks its signature", async () => {
  const folder = await Deno.makeTempDir({ prefix: "checksums_" });
  try {
    await Deno.writeTextFile(join(folder, "noderax-agent-1.deb"), "a package");
    await Deno.writeTextFile(join(folder, "other"), "not released");
    await writeChecksums(folder);
    const checked = await sh('cd "$1" && sha256sum --check --strict SHA256SUMS', folder);
    assert.equal(checked, "noderax-agent-1.deb: OK");

    const key = join(folder, "key.pem");
    await sh('openssl genpkey -algorithm ed25519 -out "$1"', key);
    await sh('openssl pkey -in "$1" -pubout -out "$2/noderax-release.pem"', key, folder);
    await signChecksums(folder, key);
    // As docs/releasing.md has it.
    const verify = 'cd "$1" && openssl pkeyutl -verify -pubin -inkey noderax-release.pem -rawin ' +
      "-in SHA256SUMS -sigfile SHA256SUMS.sig";
    assert.equal(await sh(verify, folder), "Signature Verified Successfully");
    await Deno.writeTextFile(join(folder, "SHA256SUMS"), "altered", { append: true });
    await assert.rejects(sh(verify, folder));

    await sh('openssl genpkey -algorithm rsa -out "$1" 2>/dev/null', join(folder, "rsa.pem"));
    await assert.rejects(signChecksums(folder, join(folder, "rsa.pem")), /is no Ed25519 key; make/);
    await assert.rejects(
      signChecksums(folder, join(folder, "none")),
      /cannot be used .*; make one/,
    );
    await writeChecksums(folder);
    await assert.rejects(Deno.stat(join(folder, "SHA256SUMS.sig")), Deno.errors.NotFound);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what a release consists of is told, with its hashes and licences", async () => {
  const folder = await Deno.makeTempDir({ prefix: "sbom_" });
  try {
    const integrity = `sha512-${new Uint8Array(64).toBase64()}`;
    const runtimes = ["x64", "arm64"].map((it) => {
      return { name: `@deno/linux-${it}-glibc`, version: DENO_VERSION, integrity };
    });
    const zod = project.imports["@zod/zod"].split("@").at(-1) ?? "";
    const path = await writeSbom({
      lock: LOCK,
      packages: [{ name: "zod", version: zod, localPath: folder }],
      revision: { commit: "abc", date: "2026-01-02T03:04:05.000Z" },
      runtimes,
    }, folder);
    const { components, dependencies } = Sbom.parse(JSON.parse(await Deno.readTextFile(path)));
    const refs = components.map((it) => it["bom-ref"]);
    assert.equal(new Set(refs).size, refs.length);
    const known = new Set([...refs, "noderax-agent"]);
    for (const { ref, dependsOn } of dependencies) {
      assert.deepEqual([ref, ...dependsOn].filter((it) => !known.has(it)), []);
    }
    for (
      const wanted of [`pkg:npm/zod@${zod}`, `pkg:npm/%40deno/linux-arm64-glibc@${DENO_VERSION}`]
    ) {
      const found = components.find(({ purl }) => purl === wanted);
      assert.match(found?.hashes?.[0]?.content ?? "", /^[0-9a-f]{128}$/, wanted);
    }
    const crates = components.filter(({ purl }) => purl.startsWith("pkg:cargo/"));
    assert.ok(crates.length > 800);
    for (const name of ["v8", "ring", "rustls", "tokio", "libsqlite3-sys"]) {
      const crate = crates.find((it) => it.name === name);
      assert.ok(crate?.licenses?.[0]?.expression, name);
      assert.match(crate.hashes?.[0]?.content ?? "", /^[0-9a-f]{64}$/, name);
    }
    const text = await licensesOf([], DENO_VERSION);
    for (const holder of [/2018-\d+ the Deno authors/, /the V8 project authors/, /Unicode, Inc/]) {
      assert.match(text, holder);
    }
    await assert.rejects(licensesOf([], "0.0.0"), /run `deno task licenses`/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
