/**
 * What is released, in the worst of weathers: `deno task chaos [--source] [minutes] [seed]`. Agents
 * are killed, stopped and held still, the network between them and the control plane cuts, delays,
 * swallows, throttles, corrupts and doubles, the disk is full or slow, descriptors run out, the clock
 * jumps. At the end
 * a ledger is looked at: no task lost, none run twice, lines in order, whole terminals, nothing left.
 * A seed that fails shows its story and runs once more, alone.
 *
 * @module
 */
import { join } from "@std/path";
import { amounts } from "../_amounts.ts";
import { AGENT, FROM_SOURCE } from "../_command.ts";
import { realtimeFleet } from "../_realtime.ts";
import { onRelease } from "../_release.ts";
import { mayMount, SmallDisk } from "../_small_disk.ts";
import { tlsFront } from "../_tls_front.ts";
import { tell } from "../_together.ts";
import { Proxy } from "./_proxy.ts";
import { Shims } from "./_shims.ts";
import { Storm } from "./_storm.ts";

const DISK_KIB = 64 * 1024;
const fromSource = Deno.args.includes("--source");
const numbers = Deno.args.filter((arg) => arg !== "--source");
const [minutes = 3, seed = Math.ceil(Math.random() * 1e9)] = amounts(
  "deno task chaos [--source] [minutes] [seed]",
  numbers,
);

/** One storm; false, with its story, if something that is owed is not there. */
async function chaos(): Promise<boolean> {
  tell(`chaos: ${minutes} min, seed ${seed}, ${AGENT.join(" ")}`);
  await using fleet = await realtimeFleet();
  await using front = await tlsFront(fleet);
  await using proxy = await Proxy.start(front.port);
  await using disk = await mayMount()
    ? await SmallDisk.mount(fleet.stateFolder, DISK_KIB)
    : undefined;
  if (!disk) tell("chaos: no full disk, as none can be mounted here");
  await fleet.configure({
    api_url: `https://localhost:${proxy.port}`,
    api_tls_ca_file: join(fleet.folder, "ca.pem"),
    realtime_enabled: true,
    task_poll_interval: "1s",
    request_timeout: "5s",
    log_level: "debug",
    shutdown_timeout: "2s",
  });
  const shims = await Shims.make(fleet.folder);
  if (!shims) tell("chaos: no slow disk and no clock that jumps, as there is no C compiler here");
  const storm = new Storm({ fleet, proxy, disk, shims, seed });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      const unmounted = disk?.[Symbol.asyncDispose]() ?? Promise.resolve();
      void unmounted.finally(() => Deno.exit(1));
    });
  }
  try {
    await storm.run(minutes * 60_000);
  } catch (error) {
    tell(`chaos: seed ${seed} failed\n${storm.story.join("\n")}`);
    tell(error instanceof Error ? error.stack ?? error.message : String(error));
    return false;
  }
  const did = [...storm.counts].map(([what, count]) => `${count} ${what}`).sort().join(", ");
  const kills = storm.counts.get("SIGKILL") ?? 0;
  tell(`chaos: ${storm.tasks} tasks; ${storm.faults} faults, ${kills} kills among them; ${did}`);
  tell("chaos: 0 lost, 0 run twice, 0 out of order, 0 left");
  return true;
}

if (FROM_SOURCE && !fromSource) {
  Deno.exit(await onRelease(import.meta.filename, [String(minutes), String(seed)]));
}
const isWell = await chaos();
if (!isWell) {
  tell(`chaos: seed ${seed} once more, alone`);
  tell(await chaos() ? "chaos: it passed this time" : "chaos: it failed again");
}
Deno.exit(isWell ? 0 : 1);
