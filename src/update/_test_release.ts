import { join } from "@std/path";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { runTool } from "../system/tool.ts";

const ARCHITECTURE = Deno.build.arch === "aarch64" ? "arm64" : "amd64";

/** A pair of Ed25519 keys. */
export class ReleaseKey {
  readonly #pair: { privateKey: KeyObject; publicKey: KeyObject } = generateKeyPairSync("ed25519");

  /** As update_public_key has it. */
  get text(): string {
    return this.#pair.publicKey.export({ format: "der", type: "spki" }).toString("base64");
  }

  /** Signs SHA256SUMS of a release. */
  async sign(folder: string): Promise<void> {
    const sums = await Deno.readFile(join(folder, "SHA256SUMS"));
    const signature = sign(null, sums, this.#pair.privateKey);
    await Deno.writeFile(join(folder, "SHA256SUMS.sig"), signature);
  }
}

/** Makes a release whose program says `version`; gives its folder and its archive. */
export async function makeRelease(
  source: string,
  version: string,
  key: ReleaseKey,
  says = version,
): Promise<{ folder: string; archive: string }> {
  const name = `noderax-agent-${version}-linux-${ARCHITECTURE}`;
  const folder = join(source, version);
  const tree = join(folder, name);
  await Deno.mkdir(join(tree, "lib"), { recursive: true });
  const json = JSON.stringify({ version: says });
  const program = `#!/bin/sh\n[ "$1" = version ] && echo '${json}' || exit 1\n`;
  await Deno.writeTextFile(join(tree, "noderax-agent"), program, { mode: 0o755 });
  await Deno.writeTextFile(join(tree, "lib", "deno"), "deno", { mode: 0o755 });
  const script = 'cd "$0" && tar --format=gnu -czf "$1.tar.gz" "$1" && rm -r "$1" && ' +
    'sha256sum "$1.tar.gz" >SHA256SUMS';
  const { code, stderr } = await runTool("sh", "-c", script, folder, name);
  if (code !== 0) throw new Error(stderr);
  await key.sign(folder);
  return { folder, archive: join(folder, `${name}.tar.gz`) };
}
