import { dirname } from "@std/path";
import { UserError } from "../system/user_error.ts";
import { lookAt } from "../system/trust.ts";
import type { Machine, Places } from "./machine.ts";
import type { Step } from "./steps.ts";

/** The link that makes the program a command. */
export function link({ places }: Pick<Machine, "places">): Step {
  return {
    name: "Command",
    async run(undos) {
      if (await isOurs(places)) return { told: places.link, changed: false };
      await refuseForeignLink(places);
      await Deno.mkdir(dirname(places.link), { recursive: true });
      undos.add(`link ${places.link}`, () => removeLink(places));
      await Deno.symlink(places.program, places.link);
      return { told: places.link, changed: true };
    },
  };
}

/** Throws a {@linkcode UserError} when something else has the command's name. */
export async function refuseForeignLink(places: Places): Promise<void> {
  if (await isOurs(places) || !await lookAt(places.link)) return;
  throw new UserError(
    `${places.link} is there already and does not lead to ${places.program}: move it away, then ` +
      "install again.",
  );
}

/** Removes the link; gives whether there was one. Whatever else has its name stays. */
export async function removeLink(places: Places): Promise<boolean> {
  if (!await isOurs(places)) return false;
  await Deno.remove(places.link);
  return true;
}

async function isOurs(places: Places): Promise<boolean> {
  const found = await lookAt(places.link);
  return found?.isSymlink === true && await Deno.readLink(places.link) === places.program;
}
