import { dirname, join } from "@std/path";
import { writeFileAtomic } from "../system/atomic_file.ts";
import type { Config } from "../config/mod.ts";
import { NAME } from "../system/paths.ts";
import type { RunTool } from "../system/tool.ts";
import { isThere, type Machine, must } from "./machine.ts";
import { keepFile } from "./kept_file.ts";
import type { Step } from "./steps.ts";
import { enforcesSelinux } from "../system/sandbox.ts";
import { LOCK_DOWN_DROP_IN, lockDownDropIn, renderUnit, stopSeconds } from "./unit.ts";

/** The text of the unit file for this machine. */
export function unitText(config: Config): string {
  return renderUnit(fitted(config));
}

/** The configuration as this machine follows it: where SELinux is enforced, tasks are children. */
function fitted(config: Config): Config {
  const areChildren = config.taskIsolation === "auto" && enforcesSelinux();
  return areChildren ? { ...config, taskIsolation: "child" } : config;
}

/** The sandbox of a unit opens what is there, and nothing can be made outside of that. */
async function makeStateFolder(run: RunTool, { stateFile }: Config): Promise<void> {
  const folder = dirname(stateFile);
  if (await isThere(folder)) return;
  await must(run, "install", "-d", "-m", "0700", "-o", "root", "-g", "root", folder);
}

/** The unit file for this configuration, and the folder that it has the service write to. */
export function ownUnit(machine: Machine, config: () => Promise<Config>): Step {
  return unitFile(machine, async () => {
    const settings = await config();
    await makeStateFolder(machine.run, settings);
    return unitText(settings);
  });
}

/** The unit file; systemd is told of it. `render` gives its text when the configuration is there. */
export function unitFile({ places, run }: Machine, render: () => Promise<string>): Step {
  const reload = () => must(run, "systemctl", "daemon-reload");
  return {
    name: "Unit",
    async run(undos) {
      const text = await render();
      const same = await isThere(places.unit) && await Deno.readTextFile(places.unit) === text;
      if (same) return { told: places.unit, changed: false };
      undos.add("systemd's view of the unit", reload);
      await keepFile(undos, places.unit);
      await writeFileAtomic(places.unit, text, { mode: 0o644, followLinks: true });
      await reload();
      return { told: places.unit, changed: true };
    },
  };
}

/**
 * The unit file of a package, which stays as it is: it is for a shutdown_timeout of minutes. Its
 * drop-in that locks the service down gives way where tasks are children, or to one that fits.
 */
export function packagedUnit(
  { places, run }: Machine,
  config: () => Promise<Config>,
  warn: (text: string) => void,
): Step {
  const dropIn = join(`${places.unit}.d`, LOCK_DOWN_DROP_IN);
  const reload = () => must(run, "systemctl", "daemon-reload");
  return {
    name: "Unit",
    async run(undos) {
      const settings = await config();
      const needed = stopSeconds(settings);
      if (needed > stopSeconds({ shutdownTimeoutMs: 0 })) {
        warn(
          `shutdown_timeout is longer than systemd waits: put TimeoutStopSec=${needed}s into ` +
            `[Service] by \`sudo systemctl edit ${NAME}\`.`,
        );
      }
      const text = lockDownDropIn(fitted(settings));
      const before = await isThere(dropIn) ? await Deno.readTextFile(dropIn) : undefined;
      if (before === text) return { told: "the package's", changed: false };
      undos.add("systemd's view of the unit", reload);
      await keepFile(undos, dropIn);
      if (text === undefined) {
        await Deno.remove(dropIn);
        // It stays if somebody has put more there.
        await Deno.remove(dirname(dropIn)).catch(() => {});
      } else {
        await makeStateFolder(run, settings);
        await Deno.mkdir(dirname(dropIn), { recursive: true });
        await writeFileAtomic(dropIn, text, { mode: 0o644, followLinks: true });
      }
      await reload();
      const told = text === undefined ? "the package's" : `the package's, with ${dropIn}`;
      return { told, changed: true };
    },
  };
}
