import { Argument, type Command, CommanderError, Option } from "commander";
import { EXIT_USAGE } from "../system/user_error.ts";
import { AgentCommand } from "./agent_command.ts";
import type { BootstrapCommandOptions } from "./bootstrap_command.ts";
import type { InstallCommandOptions } from "./install_command.ts";
import type { UpdateCommandOptions } from "./update_command.ts";
import type { UninstallCommandOptions } from "./uninstall_command.ts";
import type { ConfigSetOptions } from "./config_set.ts";
import { print, PROGRAM } from "./output.ts";

const EXIT_CODES = "\nExit codes: 0 done, 1 failed, 2 usage error.";

/** Runs the command that `args` (without the program's name) ask for; gives its exit code. */
export async function runProgram(args: string[]): Promise<number> {
  let exitCode = 0;
  const program = commandLine((code) => exitCode = code, await keysHelp(args));
  try {
    await program.parseAsync(plainly(args), { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // It has printed a help text, which was asked for if its exit code is 0.
    return error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
}

/** The table of the keys is loaded only for the help that shows it. */
async function keysHelp(args: string[]): Promise<string> {
  const wanted = ["config", "set"].every((word) => args.includes(word)) &&
    ["help", "-h", "--help"].some((word) => args.includes(word));
  return wanted ? (await import("./config.ts")).configKeysHelp() : "";
}

/** The two forms that the parser does not know by itself, put into ones that it knows. */
function plainly(args: string[]): string[] {
  const [first = "", ...rest] = args;
  if (first === "help") return [...rest.filter((word) => word !== first), "--help"];
  return ["-V", "-v", "--version"].includes(first) ? ["version", ...rest] : args;
}

type Exit = (code: number) => void;

/**
 * All commands; the one that is called gives its exit code to `exit`. Each loads its module only
 * when it is called, so that the others start quickly. `keys` is told in the help of `config set`.
 */
export function commandLine(exit: Exit, keys = ""): Command {
  const program = new AgentCommand(PROGRAM)
    .description("Lets a Noderax control plane watch this machine and run tasks on it.")
    .exitOverride()
    .configureOutput({
      writeOut: print,
      // The parser would look up variables that the agent has no permission to read.
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .enablePositionalOptions()
    .option("-V, --version", "print name and version")
    .option("--config <file>", "the configuration, for any command; as NODERAX_CONFIG_FILE")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .examples("enroll", "run", "status", "doctor")
    .addHelpText("afterAll", EXIT_CODES);
  describeEnrollment(program, exit);
  describeInstallation(program, exit);
  describeService(program, exit);
  describeConfig(program, exit, keys);
  describeTools(program, exit);
  return program;
}

function describeEnrollment(program: AgentCommand, exit: Exit): void {
  program.command("enroll")
    .description("enroll this machine: somebody approves it in the Noderax web app")
    .option("--email <address>", "the address whose owner approves it; asked for unless given")
    .option("--again", "re-enroll, when this machine's node was deleted")
    .examples("enroll", "enroll --email me@example.com")
    .action(async (options: { email?: string; again?: boolean }) => {
      const { enroll } = await import("./enroll.ts");
      exit(await enroll(options));
    });
  program.command("bootstrap")
    .description("make this machine a node by a token, without installing a service")
    .option("--api-url <url>", "the control plane's address, unless it is configured")
    .option(
      "--bootstrap-token <token>",
      "the token created in the web app; also taken from NODERAX_BOOTSTRAP_TOKEN",
    )
    .option("--config-file <file>", "the configuration that keeps all of it; as --config")
    .option("--state-file <file>", "where the identity is; kept in the configuration")
    .option("--log-level <level>", "debug, info, warn or error; kept in the configuration")
    .option("--non-interactive", "accepted for compatibility: bootstrap never asks")
    .examples("bootstrap --api-url https://noderax.example.com --bootstrap-token TOKEN")
    .action(async (options: BootstrapCommandOptions) => {
      const { bootstrap } = await import("./bootstrap_command.ts");
      exit(await bootstrap(options));
    });
  program.command("run")
    .description("run the agent; what happens when no command is given")
    .examples("run")
    .action(async () => {
      const { run } = await import("./run.ts");
      exit(await run());
    });
}

function describeInstallation(program: AgentCommand, exit: Exit): void {
  const level = new Option("--log-level <level>", "how much the agent logs; is kept");
  // Not by choices(), which would know no other spelling.
  level.argChoices = ["debug", "info", "warn", "error"];
  program.command("install")
    .description("install this program as a service, enroll the machine and start; also upgrades")
    .option("--api-url <url>", "the control plane's address; asked for unless given or configured")
    .option("--email <address>", "the address whose owner approves the machine; asked for")
    .option("--non-interactive", "ask nothing")
    .option(
      "--bootstrap-token <token>",
      "enroll with a token created in the web app; also taken from NODERAX_BOOTSTRAP_TOKEN",
    )
    .addOption(level)
    .examples(
      "install",
      "install --api-url https://noderax.example.com --email me@example.com",
      "install --non-interactive --api-url https://noderax.example.com --bootstrap-token TOKEN",
    )
    .action(async (options: InstallCommandOptions) => {
      const { install } = await import("./install_command.ts");
      exit(await install(options));
    });
  program.command("update")
    .description("install another version from update_source, as the console's updates do")
    .option(
      "--target-version <version>",
      "the version to install (default: the latest of the source)",
    )
    .option("--rollback", "with --target-version: also an older one than the one that runs")
    .addOption(new Option("--target-id <id>", "the control plane's name of the update").hideHelp())
    .examples("update", "update --target-version 2.1.0")
    .action(async (options: UpdateCommandOptions) => {
      const { updateAgent } = await import("./update_command.ts");
      exit(await updateAgent(options));
    });
  program.command("unit-file", { hidden: true })
    .description("print the unit file of this version's service")
    .action(async () => {
      const { printUnitFile } = await import("./update_command.ts");
      exit(await printUnitFile());
    });
  program.command("uninstall")
    .description("stop the service and remove what install created")
    .option("--purge", "remove configuration, identity and state as well; asks first")
    .option("--yes", "do not ask")
    .examples("uninstall", "uninstall --purge --yes")
    .action(async (options: UninstallCommandOptions) => {
      const { uninstall } = await import("./uninstall_command.ts");
      exit(await uninstall(options));
    });
}

const SERVICE_ACTIONS = {
  start: "start the service",
  stop: "stop the service; running tasks have shutdown_timeout to finish",
  restart: "stop the service and start it again",
} as const;

function describeService(program: AgentCommand, exit: Exit): void {
  for (const action of ["start", "stop", "restart"] as const) {
    const command = program.command(action)
      .description(SERVICE_ACTIONS[action])
      .examples(action);
    if (action === "restart") {
      command.option("--force", "restart without checking the control plane first");
    }
    command.action(async (options: { force?: boolean }) => {
      const { service } = await import("./service_commands.ts");
      exit(await service(action, options));
    });
  }
  program.command("status")
    .description(
      "show the health of the service, the agent and its connections; exit code 1 unless it runs",
    )
    .option("--json", "as JSON")
    .addOption(
      new Option("--check", "one line, and exit code 1 unless the agent is healthy: for monitors")
        .conflicts("json"),
    )
    .examples("status", "status --json", "status --check")
    .action(async (options: { json?: boolean; check?: boolean }) => {
      const { status } = await import("./status.ts");
      exit(await status(options));
    });
  program.command("logs")
    .description("show the service's log")
    .option("-f, --follow", "keep showing new lines")
    .option("-n, --lines <number>", "how many of the last lines", "100")
    .option("--json", "the agent's own events alone, as JSON, one a line")
    .examples("logs", "logs -f", "logs -n 20")
    .action(async (options: { follow?: boolean; lines: string; json?: boolean }) => {
      const { logs } = await import("./logs.ts");
      exit(await logs(options));
    });
}

function describeConfig(program: AgentCommand, exit: Exit, keys: string): void {
  const config = program.command("config")
    .description("show and change the configuration")
    .examples("config show", "config set log_level debug", "config path");
  config.command("show")
    .description("show every value and where it comes from")
    .option("--json", "as JSON")
    .option("--reveal", "show secrets too; root only")
    .examples("config show", "config show --json")
    .action(async (options: { json?: boolean; reveal?: boolean }) => {
      const { configShow } = await import("./config.ts");
      exit(await configShow(options));
    });
  config.command("get")
    .description("print the value of a key that is in use, whoever has set it")
    .argument("<key>", "such as log_level")
    .option("--reveal", "print a secret too; root only")
    .examples("config get api_url")
    .action(async (key: string, options: { reveal?: boolean }) => {
      const { configGet } = await import("./config.ts");
      exit(await configGet(key, options));
    });
  const restarting = (command: AgentCommand): AgentCommand =>
    command
      .option("--restart", "restart the service where the key needs it")
      .option("--no-restart", "do not restart it, and do not ask")
      .option("--force", "save also what the agent could not use, and another identity");
  restarting(config.command("set"))
    .description(
      "change a value in the configuration file; the running service reloads it if it can",
    )
    .argument("<key>", "such as log_level")
    .argument("<value>", 'the new value; "" removes the key')
    // A value may begin with a dash.
    .allowUnknownOption()
    .examples(
      "config set heartbeat_interval 20s",
      "config set api_url https://api.example.com --restart",
    )
    .addHelpText("after", keys)
    .action(async (key: string, value: string, options: ConfigSetOptions) => {
      const { configSet } = await import("./config_set.ts");
      exit(await configSet(key, value, options));
    });
  restarting(config.command("unset"))
    .description("remove a key from the configuration file, which brings its default back")
    .argument("<key>", "such as log_level")
    .examples("config unset run_as_user")
    .action(async (key: string, options: ConfigSetOptions) => {
      const { configSet } = await import("./config_set.ts");
      exit(await configSet(key, "", options));
    });
  config.command("path")
    .description("print the path of the configuration file")
    .examples("config path")
    .action(async () => {
      const { configPath } = await import("./config.ts");
      exit(await configPath());
    });
}

function describeTools(program: AgentCommand, exit: Exit): void {
  program.command("doctor")
    .description("check all that the agent needs, and say how to fix what fails")
    .option("--json", "as JSON")
    .examples("doctor", "doctor --json")
    .action(async (options: { json?: boolean }) => {
      const { doctor } = await import("./doctor.ts");
      exit(await doctor(options));
    });
  program.command("tasks")
    .description("list what runs in units of tasks, also after their end, or end all of one task's")
    .argument("[action]", "kill, to end what is left of a task")
    .argument("[task]", "its id")
    .examples("tasks", "tasks kill 0b7c2f")
    .action(async (action: string | undefined, task: string | undefined) => {
      const { tasks } = await import("./tasks_command.ts");
      exit(await tasks(action, task));
    });
  program.command("log-scan")
    .description("read the end of a log of this machine as a log.scan task does; prints JSON")
    .requiredOption("--request <file>", "the task's payload, as JSON")
    .examples("log-scan --request request.json")
    .action(async (options: { request: string }) => {
      const { logScanCommand } = await import("./log_scan_command.ts");
      exit(await logScanCommand(options));
    });
  program.command("version")
    .description("print name, version and build")
    .option("--json", "as JSON")
    .examples("version", "version --json")
    .action(async (options: { json?: boolean }) => {
      const { version } = await import("./version_command.ts");
      exit(version(options));
    });
  program.command("completions")
    .description("print a script that completes this command line in a shell")
    .addArgument(new Argument("<shell>", "which").choices(["bash", "zsh", "fish"]))
    .examples("completions bash > /usr/share/bash-completion/completions/noderax-agent")
    .action(async (shell: "bash" | "zsh" | "fish") => {
      const { completions } = await import("./completions.ts");
      exit(completions(shell, program));
    });
}
