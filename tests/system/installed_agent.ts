/**
 * The life of an installed agent on a machine of its own, which is booted in a container. Where this
 * machine does not allow that, one line says why, and nothing is tested.
 *
 * @module
 */
import { tell } from "../_together.ts";
import { ansibleFor } from "./_ansible.ts";
import { Bundles } from "./_bundles.ts";
import { debSteps } from "./_deb_steps.ts";
import { ANSIBLE, FLEET_STEPS } from "./_fleet_steps.ts";
import { runImage } from "./_image.ts";
import { INSTALL_STEPS } from "./_install_steps.ts";
import { LIFE_STEPS } from "./_life_steps.ts";
import { Machine } from "./_machine.ts";
import { CannotBoot, rootFileSystem } from "./_rootfs.ts";
import { Scene, type Steps } from "./_scene.ts";
import { STATE_STEPS } from "./_state_steps.ts";
import { SERVICE_STEPS } from "./_service_steps.ts";
import { UNIT_BOUNDARY_STEPS } from "./_unit_boundary_steps.ts";
import { UNIT_DNF_STEPS } from "./_unit_dnf_steps.ts";
import { UNIT_STEPS } from "./_unit_steps.ts";
import { UNIT_TERMINAL_STEPS } from "./_unit_terminal_steps.ts";
import { TAKE_OVER_STEPS } from "./_take_over_steps.ts";
import { unattendedSteps } from "./_unattended_steps.ts";
import { UPDATE_STEPS } from "./_update_steps.ts";
import { UPGRADE_STEPS } from "./_upgrade_steps.ts";

const rootFolder = await bootableSystem();

Deno.test({
  name: "an agent is installed, serves, survives and goes",
  ignore: rootFolder === undefined,
  async fn(t) {
    await using bundles = await Bundles.make();
    await t.step("installed by a person", async (t) => {
      await play(t, bundles, {
        ...INSTALL_STEPS,
        ...LIFE_STEPS,
        ...SERVICE_STEPS,
        ...UNIT_STEPS,
        ...UNIT_TERMINAL_STEPS,
        ...UNIT_BOUNDARY_STEPS,
        ...UNIT_DNF_STEPS,
        ...STATE_STEPS,
        ...UPGRADE_STEPS,
      });
    });
    await t.step("installed by nobody", (t) => play(t, bundles, unattendedSteps()));
    await t.step("updated from the console", (t) => play(t, bundles, UPDATE_STEPS));
    await t.step("installed by a package", (t) => play(t, bundles, debSteps()));
    await t.step(
      "a package over others, and another kind",
      (t) => play(t, bundles, TAKE_OVER_STEPS),
    );
    await t.step(
      "in an image made of the container file",
      () => runImage(rootFolder ?? "", bundles),
    );
    const ansible = await ansibleFor(rootFolder ?? "");
    await t.step({
      name: "installed by Ansible (needs pip and PyPI)",
      ignore: ansible === undefined,
      fn: (t) => play(t, bundles, FLEET_STEPS, { [ansible ?? ""]: ANSIBLE }),
    });
  },
});

/** Takes the steps on a machine that is new; each stands on those before it. */
async function play(
  t: Deno.TestContext,
  bundles: Bundles,
  steps: Steps,
  shown: Record<string, string> = {},
): Promise<void> {
  await using scene = await Scene.open(rootFolder ?? "", bundles, shown);
  for (const [name, take] of Object.entries(steps)) {
    if (await t.step(name, () => take(scene))) continue;
    const journal = await scene.journal();
    tell(journal.slice(-40).map(({ from, message }) => `${from}: ${message}`).join("\n"));
    break;
  }
}

/** The folder of a system that boots here; undefined, and said why, where none does. */
async function bootableSystem(): Promise<string | undefined> {
  try {
    const folder = await rootFileSystem();
    await (await Machine.boot(folder))[Symbol.asyncDispose]();
    return folder;
  } catch (error) {
    if (!(error instanceof CannotBoot)) throw error;
    tell(`system tests were not run: ${error.message}`);
    return undefined;
  }
}
