import { join } from "@std/path";
import { INSTALLED, NAME } from "../src/system/paths.ts";
import {
  DESCRIPTION,
  layOut,
  PACKAGED_LOCK_DOWN,
  PACKAGED_UNIT,
  type PackageParts,
  packageScript,
  packageVersion,
  requireTool,
  setTimes,
  sourceDate,
  XZ_LEVEL,
} from "./_package.ts";
import type { Target } from "./_target.ts";
import { mustRun } from "./_tool.ts";

const PROCESSORS: Record<Target["name"], string> = { amd64: "x86_64", arm64: "aarch64" };

/**
 * Makes the RPM package of an unpacked release, `noderax-agent-<version>-linux-<target>.rpm`, in a
 * folder; gives its path. Two of one commit are the same bytes.
 *
 * @throws {UserError} when there is no rpmbuild, or it complains.
 */
export async function buildRpm(parts: PackageParts): Promise<string> {
  await requireTool("rpmbuild", "rpm");
  const { tree, outputFolder } = parts;
  const top = await Deno.makeTempDir({ dir: tree.scratch, prefix: "rpm-" });
  const root = join(top, "root");
  await layOut(root, "rpm", parts);
  await setTimes(root, parts);
  const spec = join(top, `${NAME}.spec`);
  await Deno.writeTextFile(spec, await specification(root, parts));
  const flags = ["-bb", "--quiet", "--target", `${PROCESSORS[tree.target.name]}-linux`];
  const places = ["--define", `_topdir ${top}`, "--define", `_rpmfilename ${tree.name}.rpm`];
  await mustRun("env", sourceDate(parts), "rpmbuild", ...flags, ...places, spec);
  const path = join(outputFolder, `${tree.name}.rpm`);
  await Deno.rename(join(top, "RPMS", `${tree.name}.rpm`), path);
  await Deno.remove(top, { recursive: true });
  return path;
}

async function specification(root: string, parts: PackageParts): Promise<string> {
  const { version, compression = "xz" } = parts;
  const { summary, text } = DESCRIPTION;
  const script = async (name: string) =>
    (await packageScript("rpm", name)).replaceAll("%", () => "%%");
  const { programFolder, configFolder, config, stateFolder } = INSTALLED;
  return `# Nothing is stripped: Deno would lose what is appended to its programs.
%global __os_install_post %{nil}
%global debug_package %{nil}
%global _build_id_links none
%global _binary_payload ${compression === "xz" ? `w${XZ_LEVEL}T2.xzdio` : "w.ufdio"}
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global _buildhost localhost

Name: ${NAME}
Version: ${packageVersion(version)}
Release: 1
Summary: ${summary[0]?.toUpperCase()}${summary.slice(1)}
License: MIT
AutoReqProv: no
Requires: glibc >= 2.28, libgcc, libstdc++
Requires(pre): /usr/sbin/useradd
Recommends: systemd >= 247, ca-certificates

%description
${text.join("\n")}

%install
mkdir -p %{buildroot}
cp -a ${root}/. %{buildroot}/

%pre
${await script("pre")}
%post
${await script("post")}
%preun
${await script("preun")}
%postun
${await script("postun")}
%files
%defattr(-,root,root,-)
${programFolder}
${PACKAGED_UNIT}
%dir ${PACKAGED_UNIT}.d
${PACKAGED_LOCK_DOWN}
/usr/lib/sysusers.d/${NAME}.conf
%dir ${configFolder}
%config(noreplace) %attr(0600,root,root) ${config}
%dir %attr(0700,root,root) ${stateFolder}
`;
}
