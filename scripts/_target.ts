import { EXIT_USAGE, UserError } from "../src/system/user_error.ts";

/** A kind of machine that the agent is released for. */
export interface Target {
  /** As in the names of the released files. */
  readonly name: "amd64" | "arm64";
  /** As Deno calls it. */
  readonly triple: string;
  /** As npm calls its processor. */
  readonly npm: string;
  /** As `uname -m` calls it. */
  readonly machine: string;
}

/** Every {@linkcode Target}. */
export const TARGETS: readonly Target[] = [
  { name: "amd64", triple: "x86_64-unknown-linux-gnu", npm: "x64", machine: "x86_64" },
  { name: "arm64", triple: "aarch64-unknown-linux-gnu", npm: "arm64", machine: "aarch64" },
];

/**
 * The target of that name or triple.
 *
 * @throws {UserError} when there is none.
 */
export function targetOf(name: string): Target {
  const target = TARGETS.find((target) => target.name === name || target.triple === name);
  if (target) return target;
  const known = TARGETS.map((target) => target.name).join(" or ");
  throw new UserError(`There is no release for ${name}: --target is ${known}.`, {
    exitCode: EXIT_USAGE,
  });
}
