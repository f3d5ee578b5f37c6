import * as z from "@zod/zod";
import { Logger } from "../system/logger.ts";
import { NAME, SERVICE_USER } from "../system/paths.ts";
import { runChild } from "../system/run_child.ts";
import { loadAddonWithin } from "../terminal/addon.ts";
import { openTerminal } from "../terminal/terminal.ts";
import { type Check, fail, type Finding, ok, warn } from "./check.ts";
import { serviceTempFolder } from "./storage_checks.ts";
import type { CheckContext } from "./check_context.ts";

/** What a login shell reads, and of which user. */
async function profileFix({ accounts, run }: CheckContext): Promise<string> {
  const { account } = await accounts();
  const name = account?.name ?? (await run("id", "-un")).stdout;
  return `look into /etc/profile, /etc/profile.d and ~${name}/.profile (of the user ${name})`;
}

/** Who the agent is, whom it runs commands for, and that those can be run. */
export function accountChecks(context: CheckContext): Check[] {
  return [
    { name: "user", run: () => checkUser(context) },
    { name: "run_as_user", needs: ["config"], run: () => checkRunAsUser(context) },
    {
      name: "shell",
      needs: ["run_as_user"],
      lateFix: () => profileFix(context),
      run: (signal) => checkShell(context, signal),
    },
    {
      name: "terminal",
      needs: ["run_as_user"],
      lateFix: () => profileFix(context),
      run: (signal) => checkTerminal(context, signal),
    },
  ];
}

async function checkUser({ run }: CheckContext): Promise<Finding> {
  const [uid, name, groups] = await Promise.all([
    run("id", "-u"),
    run("id", "-un"),
    run("id", "-Gn"),
  ]);
  const who = `${name.stdout}, groups ${groups.stdout}`;
  if (uid.stdout === "0") return ok(who);
  // A list is asked for: a command that is refused would be reported to the administrator.
  const sudo = await run("sudo", "-n", "-l");
  if (sudo.code === 0) {
    const all = /NOPASSWD: ALL\b/.test(sudo.stdout);
    return ok(`${who}; sudo without a password for ${all ? "everything" : "some commands"}`);
  }
  return warn(
    `${who}; no sudo without a password: package changes and root tasks will fail`,
    `if the agent runs as root: sudo ${NAME} doctor; else install it so: sudo ${NAME} install`,
  );
}

async function checkRunAsUser({ loaded, accounts, launches, run }: CheckContext): Promise<Finding> {
  const { config: { runAsUser } } = await loaded();
  const { uid, account, switcher } = await accounts();
  await launches();
  if (runAsUser === undefined || !account) {
    if (uid !== 0) return ok("not set: tasks and terminals run as the agent's own user");
    const fix = `to change that: ${NAME} config set run_as_user ${SERVICE_USER}`;
    return ok(`not set: tasks and terminals run as root (${fix})`);
  }
  const groups = (await run("id", "-Gn", "--", account.name)).stdout;
  const who = `${account.name} (uid ${account.uid}), groups ${groups}`;
  if (account.uid === uid) return ok(`${who}: the agent's own user`);
  if (uid === 0) return ok(`${who}, through ${switcher}`);
  return warn(
    `${who}: no effect, as only root can run commands as another user`,
    `run the agent as root (sudo ${NAME} install), or ${NAME} config set run_as_user ""`,
  );
}

/** Runs what a task would be. */
async function checkShell(context: CheckContext, signal: AbortSignal): Promise<Finding> {
  const { launches } = context;
  const mark = crypto.randomUUID();
  const command = `echo ${mark}; id -un`;
  const { argv, env } = (await launches()).unprivileged({ argv: ["/bin/sh", "-lc", command] });
  const { code, stdout, stderr } = await runChild(argv, { env, signal });
  const [, said] = stdout.split(`${mark}\n`);
  if (code === 0 && said !== undefined) return ok(`/bin/sh -lc runs tasks as ${said.trim()}`);
  const fix = await profileFix(context);
  if (said === undefined && code === 0) {
    return fail(
      "no command of a task is run: the login shell ends before it, or another takes its place",
      `${fix}: it must neither exit nor exec`,
    );
  }
  return fail(`/bin/sh -lc cannot be run: ${stderr.trim() || `exit code ${code}`}`, fix);
}

/** The terminal's log says which mode was taken. */
const Opened = z.object({
  mode: z.string(),
  shell: z.string(),
  missing: z.string().optional(),
  problems: z.array(z.string()).optional(),
});

async function checkTerminal(context: CheckContext, signal: AbortSignal): Promise<Finding> {
  const { launches, loaded } = context;
  let told = "{}";
  const logger = new Logger({ write: (line) => told = line });
  const sessionId = crypto.randomUUID();
  const { unprivileged: launch } = await launches();
  const size = { cols: 80, rows: 24 };
  await loadAddonWithin(await serviceTempFolder(loaded), logger);
  let opened;
  try {
    opened = await openTerminal({ sessionId, size, onData: () => {}, launch, logger, signal });
  } catch (error) {
    return fail(
      `no terminal can be opened: ${error instanceof Error ? error.message : error}`,
      "terminals need glibc, /dev/pts (mount -t devpts devpts /dev/pts) and a temporary folder " +
        "whose programs can be run",
    );
  }
  // Killed: a shell that leaves by itself writes its history.
  await opened.shell.end(0);
  opened.pty[Symbol.dispose]();
  const { mode, shell, missing, problems = [] } = Opened.parse(JSON.parse(told));
  if (!missing) return ok(`${mode}, ${shell}`);
  return warn(`${mode}, ${shell}: ${missing}`, `find out why: ${problems.join("; ")}`);
}
