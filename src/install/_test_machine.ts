import { join } from "@std/path";
import { INSTALLED } from "../system/paths.ts";
import { runTool, type ToolResult } from "../system/tool.ts";
import type { Machine, Places } from "./machine.ts";
import type { Step } from "./steps.ts";
import { runSteps } from "./steps.ts";

const DONE: ToolResult = { code: 0, stdout: "", stderr: "" };
/** Tools that need no root and change nothing but files. */
const REAL = ["chmod", "cp", "diff", "du", "sync", "test"];

/** A machine that is a folder. Its other tools do nothing, or what a test has them do. */
export class TestMachine implements Machine, AsyncDisposable {
  /** The folder. */
  readonly root: string;
  readonly places: Places;
  cgroups = (): string => "0::/user.slice";
  /** The command lines of the tools that were not run for real. */
  readonly calls: string[] = [];
  /** What a command line that begins so comes to. */
  readonly answers: Record<string, Partial<ToolResult>> = { getent: { code: 2 } };

  /** Who has a path that is not root's. */
  readonly owners: Record<string, string> = {};

  private constructor(root: string) {
    this.root = root;
    const at = (path: string) => join(root, path);
    this.places = {
      programFolder: at(INSTALLED.programFolder),
      program: at(INSTALLED.program),
      link: at(INSTALLED.link),
      configFolder: at(INSTALLED.configFolder),
      config: at(INSTALLED.config),
      stateFolder: at(INSTALLED.stateFolder),
      cacheFolder: at(INSTALLED.cacheFolder),
      identity: at(INSTALLED.identity),
      runtimeFolder: at(INSTALLED.runtimeFolder),
      unit: at(INSTALLED.unit),
      home: at(INSTALLED.home),
      sudoersFolder: at(INSTALLED.sudoersFolder),
      helperFolder: at(INSTALLED.helperFolder),
      packageMark: at(INSTALLED.packageMark),
    };
  }

  /** Makes one with the folders that every machine has. */
  static async make(): Promise<TestMachine> {
    const machine = new TestMachine(await Deno.makeTempDir({ prefix: "install_" }));
    for (const folder of ["etc/systemd/system", "opt", "usr/local/bin", "var/lib", "run"]) {
      await Deno.mkdir(join(machine.root, folder), { recursive: true });
    }
    return machine;
  }

  readonly run = async (program: string, ...args: string[]): Promise<ToolResult> => {
    if (REAL.includes(program)) return await runTool(program, ...args);
    if (program === "stat") return await this.#stat(args);
    const line = [program, ...args].join(" ");
    this.calls.push(line.replaceAll(this.root, ""));
    if (program === "install") return await this.#makeFolder(args);
    if (program === "/usr/sbin/useradd") this.account("Noderax agent tasks");
    const key = Object.keys(this.answers).find((start) => line.startsWith(start));
    return { ...DONE, ...key ? this.answers[key] : {} };
  };

  /** Has an account for tasks, with this comment. */
  account(comment: string): void {
    this.answers.getent = { stdout: `noderax:x:999:999:${comment}:/home/noderax:/bin/sh` };
  }

  /** Runs steps to their end; gives what the person was shown. */
  async take(...steps: Step[]): Promise<{ shown: string; thrown: unknown }> {
    let shown = "";
    const print = (text: string) => shown += text.replaceAll(this.root, "");
    const signal = new AbortController().signal;
    const thrown = await runSteps(steps, { print, signal }).then(() => undefined, (error) => error);
    return { shown, thrown };
  }

  /** Every path on the machine with its kind, mode and content. */
  async content(): Promise<string[]> {
    const find = ["-path", "*/run", "-prune", "-o", "-printf", "%P %y %m\n"];
    const { stdout } = await runTool("find", this.root, ...find);
    return await Promise.all(
      stdout.split("\n").sort().map(async (line) => {
        const [path = "", kind] = line.split(" ");
        if (kind === "l") return `${line} ${await Deno.readLink(join(this.root, path))}`;
        return kind === "f" ? `${line} ${await Deno.readTextFile(join(this.root, path))}` : line;
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }

  /** Whoever runs the tests is this machine's root, unless a test says otherwise. */
  async #stat(args: string[]): Promise<ToolResult> {
    const found = await runTool("stat", ...args);
    return {
      ...found,
      stdout: found.stdout.replace(/\d+:\d+$/, this.owners[args.at(-1) ?? ""] ?? "0:0"),
    };
  }

  /** `install -d -m MODE -o root -g root FOLDER`, but for the owner. */
  async #makeFolder(args: string[]): Promise<ToolResult> {
    return await runTool("install", "-d", "-m", args[2] ?? "", args.at(-1) ?? "");
  }
}

/** The last step of an installation that fails. */
export const FAILS: Step = {
  name: "Weather",
  run: () => Promise.reject(new Error("It rains.")),
};

/** Makes a bundle's folder; gives what finds it. */
export async function makeBundle(
  folder: string,
  text: string,
): Promise<{ standalone: boolean; execPath: string }> {
  await Deno.mkdir(join(folder, "lib"), { recursive: true });
  await Deno.writeTextFile(join(folder, "noderax-agent"), text, { mode: 0o700 });
  await Deno.writeTextFile(join(folder, "lib", "deno"), "deno", { mode: 0o700 });
  await Deno.writeTextFile(join(folder, "notes.txt"), "somebody's own");
  return { standalone: false, execPath: join(folder, "lib", "deno") };
}
