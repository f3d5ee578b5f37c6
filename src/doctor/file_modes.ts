import { dirname, resolve } from "@std/path";
import { SERVICE_USER } from "../system/paths.ts";
import type { RunTool } from "../system/tool.ts";
import { type Check, type Finding, ok, skip, type Status } from "./check.ts";
import type { CheckContext } from "./check_context.ts";

/** Who may read and change what is secret or commands the agent. */
export function fileModeChecks(context: CheckContext): Check[] {
  return [{ name: "file modes", needs: ["config"], run: () => checkModes(context) }];
}

async function checkModes({ loaded, run }: CheckContext): Promise<Finding> {
  const { config, path, exists } = await loaded();
  const stateFile = resolve(config.stateFile);
  const me = (await run("id", "-un")).stdout;
  const hasSecret = Boolean(config.agentToken ?? config.enrollmentToken);
  const judged = await Promise.all([
    exists ? judge({ path, role: "config", me, hasSecret }, run) : undefined,
    judge({ path: stateFile, role: "identity", me, hasSecret: true }, run),
    judge({ path: dirname(stateFile), role: "folder", me, hasSecret: false }, run),
  ]);
  const findings = judged.filter((finding) => finding !== undefined);
  if (findings.length === 0) return skip("there are no files yet");
  const bad = findings.filter(({ status }) => status !== "ok");
  if (bad.length === 0) return ok(findings.map(({ found }) => found).join(", "));
  return {
    status: bad.some(({ status }) => status === "fail") ? "fail" : "warn",
    found: bad.map(({ found }) => found).join("\n"),
    fix: bad.flatMap(({ fix }) => fix ?? []).join("\n"),
  };
}

interface Judged {
  path: string;
  role: "config" | "identity" | "folder";
  /** The user who looks. */
  me: string;
  /** Whether who reads it has the node's credentials. */
  hasSecret: boolean;
}

/** Undefined where there is no such file, or it cannot be seen. */
async function judge(file: Judged, run: RunTool): Promise<Finding | undefined> {
  const { path, role, me, hasSecret } = file;
  const shown = await run("stat", "-L", "-c", "%a %U %G", "--", path);
  if (shown.code !== 0) return undefined;
  const [mode = "", owner = "", group = ""] = shown.stdout.split(" ");
  const bits = parseInt(mode, 8);
  const right = role === "folder" ? "0700" : "0600";
  const rights = `0${mode.slice(-3)} ${owner}:${group}`;
  const bad = (status: Status, why: string, fix: string) => ({
    status,
    found: `${path} is ${rights}: ${why}`,
    fix,
  });

  // Whoever owns a file changes it; the agent's own folder decides over all that is in it.
  if (![me, "root"].includes(owner)) {
    return bad(
      "warn",
      `${owner} can change it`,
      `if the agent runs as root: chown root:root ${path}`,
    );
  }
  const chmod = `chmod ${right} ${path}`;
  if (bits & 0o022) return bad("fail", "others than its owner can change it", chmod);
  const secret = hasSecret ? ", with the node's credentials" : "";
  if (bits & 0o007) {
    return bad(hasSecret ? "fail" : "warn", `everybody can read it${secret}`, chmod);
  }
  if ((bits & 0o070) && !isUsualGroup(group, role)) {
    return bad(hasSecret ? "fail" : "warn", `its group can read it${secret}`, chmod);
  }
  const note = group === SERVICE_USER && bits & 0o040 ? ", so tasks can read it" : "";
  return ok(`${role} ${rights}${note}`);
}

/** The installer of earlier versions makes the configuration 0640 root:noderax. */
function isUsualGroup(group: string, role: Judged["role"]): boolean {
  return role === "config" && ["root", SERVICE_USER].includes(group);
}
