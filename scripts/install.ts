/**
 * Installs the agent of this checkout as a service:
 * `sudo deno task install-service [--api-url URL] [--email ADDRESS] [--bundle FILE | --binary FILE |
 * --compile] [--non-interactive --bootstrap-token TOKEN]`. It builds what can be installed, or takes
 * it, and runs its `install`; what is entered there is written into config.json of the checkout too.
 *
 * @module
 */
import $ from "@david/dax";
import { parseArgs } from "node:util";
import { join, resolve } from "@std/path";
import { complain } from "../src/cli/output.ts";
import { lookUpAccounts } from "../src/privileges/accounts.ts";
import { NAME } from "../src/system/paths.ts";
import { EXIT_USAGE, messageOf, UserError } from "../src/system/user_error.ts";
import { buildBundle } from "./_bundle.ts";
import { writeChecksums } from "./_checksums.ts";
import { compile } from "./_compile.ts";
import { targetOf } from "./_target.ts";
import { mustRun } from "./_tool.ts";

const CONFIG = resolve("config.json");
/** Not the system's folder for these: programs may not be run from there. */
const FOLDER = resolve("dist");
const TOKEN_VARIABLE = "NODERAX_BOOTSTRAP_TOKEN";

type Wishes = ReturnType<typeof readArguments>;

async function installService(args: string[]): Promise<number> {
  const wishes = readArguments(args);
  if ((await lookUpAccounts()).uid !== 0) {
    throw new UserError("This needs root: run `sudo npx -y deno@2.9.6 task install-service`.");
  }
  await Deno.mkdir(FOLDER, { recursive: true });
  const unpacked = await Deno.makeTempDir({ dir: FOLDER, prefix: "install-" });
  try {
    const program = await findProgram(wishes, unpacked);
    return await runInstall(program, wishes);
  } finally {
    await Deno.remove(unpacked, { recursive: true });
    await giveBack();
  }
}

function readArguments(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        "api-url": { type: "string" },
        email: { type: "string" },
        bundle: { type: "string" },
        binary: { type: "string" },
        compile: { type: "boolean" },
        "non-interactive": { type: "boolean" },
        "bootstrap-token": { type: "string" },
      },
    });
    const sources = [values.bundle, values.binary, values.compile].filter(Boolean);
    if (sources.length > 1) throw new Error("--bundle, --binary and --compile exclude each other");
    return values;
  } catch (cause) {
    throw new UserError(`${messageOf(cause)}.`, { exitCode: EXIT_USAGE, cause });
  }
}

/** The program to install: taken or built; a bundle is unpacked into the folder. */
async function findProgram({ binary, bundle, ...wishes }: Wishes, folder: string) {
  const path = binary ?? bundle;
  if (path && !await $.path(path).exists()) throw new UserError(`There is no ${path}.`);
  if (binary) return resolve(binary);
  const target = targetOf(Deno.build.target);
  if (wishes.compile) {
    $.logStep("Compiling", "the program");
    return await released(compile(target, FOLDER));
  }
  if (!bundle) $.logStep("Building", "the portable bundle");
  const archive = bundle ??
    await released(buildBundle(target, FOLDER).then(({ archive }) => archive));
  const extract = ["--extract", "--gzip", "--no-same-owner", "--strip-components=1"];
  await mustRun("tar", ...extract, "--file", archive, "--directory", folder);
  return join(folder, NAME);
}

/** What was built is listed like any release. */
async function released(building: Promise<string>): Promise<string> {
  const path = await building;
  await writeChecksums(FOLDER);
  return path;
}

async function runInstall(program: string, wishes: Wishes): Promise<number> {
  const flags = [
    ...wishes["api-url"] ? ["--api-url", wishes["api-url"]] : [],
    ...wishes.email ? ["--email", wishes.email] : [],
    ...wishes["non-interactive"] ? ["--non-interactive"] : [],
  ];
  // Everybody can read the arguments of a process.
  const token = wishes["bootstrap-token"] ?? Deno.env.get(TOKEN_VARIABLE);
  const { code } = await $`${program} install ${flags}`
    .env({ NODERAX_CONFIG_MIRROR_FILE: CONFIG, [TOKEN_VARIABLE]: token })
    .stdin("inherit")
    .noThrow();
  return code;
}

/** What was made in the checkout belongs to whoever has called sudo; the mirror is given by itself. */
async function giveBack(): Promise<void> {
  const [user, group] = [Deno.env.get("SUDO_UID"), Deno.env.get("SUDO_GID")];
  if (!user || !group) return;
  await $`chown -R ${user}:${group} ${FOLDER}`;
}

try {
  // A Ctrl-C is for the program that is installed, which may have something to put back.
  Deno.addSignalListener("SIGINT", () => {});
  Deno.exit(await installService(Deno.args));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  complain(error.message);
  Deno.exit(error.exitCode);
}
