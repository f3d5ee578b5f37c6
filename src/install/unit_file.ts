import { dirname } from "@std/path";
import { writeFileAtomic } from "../system/atomic_file.ts";
import type { Config } from "../config/mod.ts";
import { NAME } from "../system/paths.ts";
import { isThere, type Machine, must } from "./machine.ts";
import { keepFile } from "./kept_file.ts";
import type { Step } from "./steps.ts";
import { enforcesSelinux } from "../system/selinux.ts";
import { renderUnit, stopSeconds } from "./unit.ts";

/** The text of the unit file for this machine. */
export function unitText(config: Config): string {
  // Tasks stay children there, which inherit all.
  return renderUnit(enforcesSelinux() ? { ...config, taskIsolation: "child" } : config);
}

/** The unit file for this configuration, and the folder that it has the service write to. */
export function ownUnit(machine: Machine, config: () => Promise<Config>): Step {
  return unitFile(machine, async () => {
    const settings = await config();
    const folder = dirname(settings.stateFile);
    // The sandbox of the unit opens what is there, and nothing can be made outside of that.
    if (!await isThere(folder)) {
      await must(machine.run, "install", "-d", "-m", "0700", "-o", "root", "-g", "root", folder);
    }
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

/** The unit file of a package, which stays as it is: it is for a shutdown_timeout of minutes. */
export function packagedUnit(config: () => Promise<Config>, warn: (text: string) => void): Step {
  return {
    name: "Unit",
    async run() {
      const needed = stopSeconds(await config());
      if (needed > stopSeconds({ shutdownTimeoutMs: 0 })) {
        warn(
          `shutdown_timeout is longer than systemd waits: put TimeoutStopSec=${needed}s into ` +
            `[Service] by \`sudo systemctl edit ${NAME}\`.`,
        );
      }
      return { told: "the package's", changed: false };
    },
  };
}
