import { join } from "@std/path";
import * as z from "@zod/zod";
import {
  CONFIG_KEYS,
  type ConfigValue,
  loadConfig,
  type LoadedConfig,
  type ReadEnv,
} from "../config/mod.ts";
import { lookAt, whoElseWrites } from "../system/trust.ts";
import { messageOf } from "../system/user_error.ts";
import { setFolderAside } from "./kept_file.ts";
import type { Machine, Places } from "./machine.ts";
import type { Undos } from "./steps.ts";

/** No configuration is as long, in bytes. */
const MAX_CONFIG_BYTES = 65_536;

/**
 * What is taken over of a configuration that others could write: who this node is, and how often
 * something is done. Never whom root obeys, as whom it works, or where it writes.
 */
const HARMLESS =
  /^(node_id|agent_token|log_level|(heartbeat|metrics|task_poll)_interval|(request|task|shutdown)_timeout|realtime_.*|location_manual_.*)$/;

/**
 * The configuration as an installation finds it. One that others could write counts as none until
 * {@linkcode takeConfigOver}: `others` says who could then, as the end of a sentence.
 */
export async function configBefore(
  places: Places,
  env: ReadEnv,
): Promise<LoadedConfig & { others?: string }> {
  const others = await whoElseWrites(places.config);
  if (others === undefined) return await loadConfig({ env });
  const none = `${places.config}.none`;
  const loaded = await loadConfig({
    env: (name) => name === "NODERAX_CONFIG_FILE" ? none : env(name),
  });
  return { ...loaded, others };
}

/** What {@linkcode takeConfigOver} has kept, and where the rest is. */
export interface TakenConfig {
  /** The values that still count, by key. */
  kept: Record<string, ConfigValue>;
  /** The folder that was set aside. */
  aside: string;
}

/**
 * Sets a configuration aside that others could write, as those of the agent in Go are, and gives what
 * still counts of it; undefined where it is root's alone.
 */
export async function takeConfigOver(
  machine: Machine,
  undos: Undos,
): Promise<TakenConfig | undefined> {
  const { configFolder, config } = machine.places;
  if (!await lookAt(configFolder) || await whoElseWrites(config) === undefined) return undefined;
  const aside = await setFolderAside(machine, configFolder, undos);
  return { aside, kept: await harmlessValues(join(aside, config.slice(configFolder.length))) };
}

async function harmlessValues(path: string): Promise<Record<string, ConfigValue>> {
  const info = await lookAt(path);
  if (!info?.isFile || info.size > MAX_CONFIG_BYTES) return {};
  const content = Content.safeParse(parse(await Deno.readTextFile(path)));
  if (!content.success) return {};
  return Object.fromEntries(
    CONFIG_KEYS.flatMap(({ key, schema }) => {
      const value = Value.safeParse(content.data[key]);
      const counts = HARMLESS.test(key) && value.success && schema.safeParse(value.data).success;
      return counts ? [[key, value.data]] : [];
    }),
  );
}

const Content = z.record(z.string(), z.unknown());
const Value = z.union([z.string().trim().min(1), z.number(), z.boolean()]);

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return messageOf(error);
  }
}
