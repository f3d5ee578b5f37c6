import { writeFileAtomic } from "../system/atomic_file.ts";
import { isThere, type Machine, must } from "./machine.ts";
import { keepFile } from "./kept_file.ts";
import type { Step } from "./steps.ts";

/** The unit file; systemd is told of it. `render` gives its text when the configuration is there. */
export function unitFile({ places, run }: Machine, render: () => Promise<string>): Step {
  const reload = () => must(run, "systemctl", "daemon-reload");
  return {
    name: "Unit",
    async run(undos) {
      const text = await render();
      const same = await isThere(places.unit) && await Deno.readTextFile(places.unit) === text;
      if (same) return { told: places.unit, changed: false };
      undos.add("systemd's idea of the unit", reload);
      await keepFile(undos, places.unit);
      await writeFileAtomic(places.unit, text, { mode: 0o644 });
      await reload();
      return { told: places.unit, changed: true };
    },
  };
}
