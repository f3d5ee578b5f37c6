import { dirname, join } from "@std/path";
import { UserError } from "../system/user_error.ts";
import { NAME } from "../system/paths.ts";
import { isThere, type Places } from "./machine.ts";

/** The parts of a portable bundle. */
const BUNDLE = [NAME, "lib", "LICENSE", "LICENSES-OF-OTHERS"];

/** What this program is made of, as it lies on this machine now. */
export interface Release {
  /** The folder that it lies in. */
  folder: string;
  /** Its files and folders: where they are, and their name in the program folder. */
  parts: { from: string; as: string }[];
  /** What is run to install it, by whoever has it. */
  program: string;
}

/**
 * Finds out what this program is made of. Throws a {@linkcode UserError} when it runs from source:
 * there is nothing that could be installed then.
 */
export async function findRelease(
  { standalone = Deno.build.standalone, execPath = Deno.execPath(), runFile }: {
    standalone?: boolean;
    execPath?: string;
    /** The file that it was unpacked from. */
    runFile?: string | undefined;
  } = {},
): Promise<Release> {
  if (standalone) {
    const program = await Deno.realPath(execPath);
    return { folder: dirname(program), parts: [{ from: program, as: NAME }], program };
  }
  const folder = dirname(dirname(await Deno.realPath(execPath)));
  const isBundle = await isThere(join(folder, NAME)) && await isThere(join(folder, "lib", "deno"));
  if (!isBundle) {
    throw new UserError(
      "This program runs from source: run `sudo npx -y deno@2.9.6 task install-service` in the " +
        "checkout, which builds what can be installed.",
    );
  }
  const parts = BUNDLE.map((name) => ({ from: join(folder, name), as: name }));
  const there = await Promise.all(parts.map(({ from }) => isThere(from)));
  const program = runFile ?? join(folder, NAME);
  return { folder, parts: parts.filter((_, at) => there[at]), program };
}

/** A package that has installed the agent: its files are the package manager's to change. */
export interface Package {
  /** The command that upgrades it. */
  upgrade: string;
  /** The command that removes it and keeps configuration, identity and state. */
  remove: string;
  /** What removes those too. */
  purge: string;
}

/** The kinds of package, as their mark in the program's folder tells them. */
const PACKAGES: Record<string, Package> = {
  deb: {
    upgrade: "apt-get install ./FILE.deb",
    remove: `apt-get remove ${NAME}`,
    purge: `apt-get purge ${NAME}`,
  },
  rpm: {
    upgrade: "dnf install ./FILE.rpm",
    remove: `dnf remove ${NAME}`,
    purge: `dnf remove ${NAME}; rm -r /etc/${NAME} /var/lib/${NAME}`,
  },
};

/** The package that has installed the agent; undefined if `install` has, or nobody. */
export async function findPackage({ packageMark }: Places): Promise<Package | undefined> {
  if (!await isThere(packageMark)) return undefined;
  const kind = (await Deno.readTextFile(packageMark)).trim();
  const found = PACKAGES[kind];
  if (!found) throw new UserError(`${packageMark} names no kind of package: "${kind}".`);
  return found;
}

/** Throws a {@linkcode UserError} when a release would overwrite what a package has installed. */
export async function refuseOverPackage(places: Places, { folder }: Release): Promise<void> {
  const found = await findPackage(places);
  if (!found || folder === await Deno.realPath(places.programFolder)) return;
  throw new UserError(
    `A package has installed the agent in ${places.programFolder}: upgrade it by ` +
      `\`sudo ${found.upgrade}\`, or remove it by \`sudo ${found.remove}\` and install again.`,
  );
}

/** Throws a {@linkcode UserError} that says how to remove an agent which a package has installed. */
export async function refuseToRemovePackage(places: Places): Promise<void> {
  const found = await findPackage(places);
  if (!found) return;
  throw new UserError(
    `A package has installed the agent: remove it by \`sudo ${found.remove}\`. ` +
      `Configuration, identity and state go with \`sudo ${found.purge}\`.`,
  );
}
