import { jsonOf } from "../system/text.ts";
import { join } from "@std/path";
import * as z from "@zod/zod";
import { must } from "../install/machine.ts";
import { findRelease, type Release } from "../install/release.ts";
import { NAME } from "../system/paths.ts";
import type { RunTool } from "../system/tool.ts";
import { UserError } from "../system/user_error.ts";
import { checksumOf, publicKeys, requireSignature } from "./signature.ts";
import { unpack } from "./unpack.ts";
import type { UpdateSource } from "./update_source.ts";

const SUMS = "SHA256SUMS";
/** A release has a dozen lines of 100 characters. */
const MAX_SUMS_BYTES = 2 ** 16;
const SIGNATURE_BYTES = 64;

const Version = z.object({ version: z.string() });

/** What a release is staged from. */
export interface StageOptions {
  /** Where releases are. */
  source: UpdateSource;
  /** The text of `update_public_key`. */
  keys: string;
  /** The version that is wanted. */
  version: string;
  /** A folder that nobody else may write, for what is downloaded and unpacked. */
  folder: string;
  /** Runs what was unpacked, to ask for its version. */
  run: RunTool;
  /** Hears that all is there and is looked at now. */
  onVerifying: () => Promise<void>;
  /** Ends it early. */
  signal: AbortSignal;
}

/**
 * Downloads a release and unpacks it, once its signature and then its checksum have proved it.
 *
 * @throws {UserError} when any of it is not as it must be.
 */
export async function stageRelease(options: StageOptions): Promise<Release> {
  const { source, version, folder, signal } = options;
  const keys = await publicKeys(options.keys);
  const sums = await source.read(`${version}/${SUMS}`, MAX_SUMS_BYTES, signal);
  const signature = await source.read(`${version}/${SUMS}.sig`, SIGNATURE_BYTES, signal);
  await requireSignature(`${version}/${SUMS}`, sums, signature, keys);
  const name = `${NAME}-${version}-linux-${ARCHITECTURE}`;
  const expected = checksumOf(new TextDecoder().decode(sums), `${name}.tar.gz`);
  const archive = join(folder, "archive");
  const digest = await source.download(`${version}/${name}.tar.gz`, archive, signal);
  await options.onVerifying();
  if (digest !== expected) {
    throw new UserError(
      `${version}/${name}.tar.gz is not what was signed (its SHA-256 is another): it was changed, ` +
        "or its upload is not complete.",
    );
  }
  const tree = join(folder, "tree");
  await unpack(archive, name, tree);
  signal.throwIfAborted();
  const release = await findRelease({
    standalone: false,
    execPath: join(tree, "lib", "deno"),
  }).catch((cause) => {
    throw new UserError(`${name}.tar.gz holds no bundle of the agent.`, { cause });
  });
  const found = await versionOf(release, options.run);
  if (found === version) return release;
  throw new UserError(`${name}.tar.gz holds version ${found}: it is not installed.`);
}

/** As in the names of the released files. */
const ARCHITECTURE = Deno.build.arch === "aarch64" ? "arm64" : "amd64";

async function versionOf({ program }: Release, run: RunTool): Promise<string> {
  const text = await must(run, program, "version", "--json");
  return Version.safeParse(jsonOf(text)).data?.version ?? "unknown";
}
