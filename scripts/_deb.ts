import { gzip } from "node:zlib";
import { promisify } from "node:util";
import { join } from "@std/path";
import { INSTALLED, NAME } from "../src/system/paths.ts";
import {
  DESCRIPTION,
  layOut,
  type PackageParts,
  packageScript,
  packageVersion,
  requireTool,
  setTimes,
  sourceDate,
  XZ_LEVEL,
} from "./_package.ts";
import { mustRun } from "./_tool.ts";

/** A needrestart that restarts services after an upgrade of a library would end their tasks. */
const NEEDRESTART = `# Restarts of the agent end its tasks: they are left to whoever upgrades it.
$nrconf{override_rc}{qr(^noderax-agent\\.service$)} = 0;
`;
const NEEDRESTART_PATH = `/etc/needrestart/conf.d/${NAME}.conf`;
const DOCUMENTATION = `/usr/share/doc/${NAME}`;

/**
 * Makes the Debian package of an unpacked release, `noderax-agent-<version>-linux-<target>.deb`, in a
 * folder; gives its path. Two of one commit are the same bytes.
 *
 * @throws {UserError} when there is no dpkg-deb, or it complains.
 */
export async function buildDeb(parts: PackageParts): Promise<string> {
  await requireTool("dpkg-deb", "dpkg");
  const { tree, outputFolder, compression = "xz" } = parts;
  const root = await Deno.makeTempDir({ dir: tree.scratch, prefix: "deb-" });
  await layOut(root, "deb", parts);
  const write = async (path: string, text: string | Uint8Array, mode = 0o644) => {
    await Deno.mkdir(join(root, path, ".."), { recursive: true });
    await Deno.writeFile(join(root, path), typeof text === "string" ? encode(text) : text);
    await Deno.chmod(join(root, path), mode);
  };
  await write(NEEDRESTART_PATH, NEEDRESTART);
  await write(`${DOCUMENTATION}/copyright`, await copyright(parts));
  await write(
    `${DOCUMENTATION}/changelog.gz`,
    await promisify(gzip)(changelog(parts), { level: 9 }),
  );
  const overrides = join(import.meta.dirname ?? "", "package", "deb", "lintian-overrides");
  await write(`/usr/share/lintian/overrides/${NAME}`, await Deno.readTextFile(overrides));
  const size = (await mustRun("du", "-sk", "--apparent-size", root)).split("\t")[0] ?? "";
  await write("/DEBIAN/control", control(parts, size));
  await write("/DEBIAN/conffiles", `${INSTALLED.config}\n${NEEDRESTART_PATH}\n`);
  for (const name of ["preinst", "postinst", "prerm", "postrm"]) {
    await write(`/DEBIAN/${name}`, `#!/bin/sh\n${await packageScript("deb", name)}`, 0o755);
  }
  await write("/DEBIAN/md5sums", await md5sums(root));
  await mustRun(
    "find",
    root,
    "-type",
    "d",
    "!",
    "-path",
    `*${INSTALLED.stateFolder}`,
    "-exec",
    "chmod",
    "755",
    "{}",
    "+",
  );
  await setTimes(root, parts);
  const made = join(tree.scratch, `${tree.name}.deb`);
  const flags = ["--root-owner-group", `-Z${compression}`, `-z${XZ_LEVEL}`, "--build"];
  await mustRun("env", sourceDate(parts), "dpkg-deb", ...flags, root, made);
  const path = join(outputFolder, `${tree.name}.deb`);
  await Deno.rename(made, path);
  await Deno.remove(root, { recursive: true });
  return path;
}

function control({ tree, version }: PackageParts, sizeKb: string): string {
  const { summary, text, maintainer } = DESCRIPTION;
  return `Package: ${NAME}
Version: ${packageVersion(version)}
Architecture: ${tree.target.name}
Maintainer: ${maintainer}
Installed-Size: ${sizeKb}
Depends: libc6 (>= 2.28), libgcc-s1, libstdc++6, passwd
Recommends: ca-certificates, systemd (>= 247)
Suggests: sudo
Section: admin
Priority: optional
Description: ${summary}
${text.map((line) => ` ${line}\n`).join("")}`;
}

async function copyright({ tree }: PackageParts): Promise<string> {
  const license = await Deno.readTextFile(join(tree.folder, "LICENSE"));
  return `The Noderax agent.\n\n${license.trim()}\n\nThe licenses of what is part of it are in ` +
    `${INSTALLED.programFolder}/LICENSES-OF-OTHERS.\n`;
}

function changelog({ tree, version }: PackageParts): string {
  const date = new Date(tree.revision.date).toUTCString().replace("GMT", "+0000");
  return `${NAME} (${packageVersion(version)}) stable; urgency=medium

  * This release; what is new in it is told with it.

 -- ${DESCRIPTION.maintainer}  ${date}
`;
}

async function md5sums(root: string): Promise<string> {
  const script =
    'cd "$1" && find . -type f ! -path "./DEBIAN/*" ! -path "./etc/*" -printf "%P\\0" | ' +
    "LC_ALL=C sort -z | xargs -0 md5sum";
  return `${await mustRun("sh", "-c", script, "sh", root)}\n`;
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
