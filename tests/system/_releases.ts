import { join } from "@std/path";
import { generateKeyPairSync } from "node:crypto";
import { signChecksums, writeChecksums } from "../../scripts/_checksums.ts";
import { targetOf } from "../../scripts/_target.ts";
import { mustRun } from "../../scripts/_tool.ts";
import { SERVICE } from "../../src/system/paths.ts";
import { VERSION } from "../../src/system/version.ts";
import type { Bundles } from "./_bundles.ts";

/** Where the releases are, beside the bundles. */
export const releasesOf = ({ folder }: Bundles): string => join(folder, "releases");

/** Versions that are newer than `next`, each with something wrong. */
export const WRONG = {
  broken: "99.1.0",
  tampered: "99.2.0",
  mislabelled: "99.3.0",
  flaky: "99.4.0",
} as const;

/** It runs and serves, but not for long: systemd takes it for started before it ends. */
const FLAKY =
  `[ "$1" = run ] && (until systemctl is-active --quiet ${SERVICE}; do sleep 0.2; done; ` +
  "sleep 1; kill -9 $$) &";

/** Lays signed releases out as an update source, in {@linkcode releasesOf}; gives the public key. */
export async function makeReleases(bundles: Bundles): Promise<string> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const keyFile = join(bundles.folder, "release-key.pem");
  const pem = privateKey.export({ format: "pem", type: "pkcs8" });
  await Deno.writeTextFile(keyFile, String(pem), { mode: 0o600 });
  await bundles.bump("broken-next", WRONG.broken, "broken");
  await bundles.bump("flaky", WRONG.flaky);
  const launcher = join(bundles.folder, "flaky", "noderax-agent");
  const script = await Deno.readTextFile(launcher);
  await Deno.writeTextFile(launcher, script.replace("\n", () => `\n${FLAKY}\n`));
  const releases = [
    ["first", VERSION],
    ["next", bundles.nextVersion],
    ["broken-next", WRONG.broken],
    ["flaky", WRONG.flaky],
    ["next", WRONG.mislabelled],
  ] as const;
  for (const [bundle, version] of releases) {
    const { folder, name, archive } = await placeOf(bundles, version);
    await mustRun(
      "tar",
      "--create",
      "--format=gnu",
      "--use-compress-program=gzip -1",
      `--transform=s,^\\.,${name},`,
      ...["--file", archive, "--directory", join(bundles.folder, bundle), "."],
    );
    await writeChecksums(folder);
    await signChecksums(folder, keyFile);
  }
  const { folder, archive } = await placeOf(bundles, WRONG.tampered);
  await Deno.writeTextFile(archive, "what was released");
  await writeChecksums(folder);
  await signChecksums(folder, keyFile);
  await Deno.writeTextFile(archive, "what was not");
  await Deno.writeTextFile(join(releasesOf(bundles), "latest"), `${bundles.nextVersion}\n`);
  return publicKey.export({ format: "der", type: "spki" }).toString("base64");
}

async function placeOf(
  bundles: Bundles,
  version: string,
): Promise<{ folder: string; name: string; archive: string }> {
  const folder = join(releasesOf(bundles), version);
  await Deno.mkdir(folder, { recursive: true });
  const name = `noderax-agent-${version}-linux-${targetOf(Deno.build.target).name}`;
  return { folder, name, archive: join(folder, `${name}.tar.gz`) };
}
