import * as z from "@zod/zod";
import type { DesiredRootAccess, RootAccessReport } from "../control_plane/schemas.ts";
import { writeFileAtomic } from "../system/atomic_file.ts";
import type { Logger } from "../system/logger.ts";
import { messageOf } from "../system/user_error.ts";
import { Profile, refusalOf, type RootScope } from "./root_scopes.ts";

/** Of the name of a profile that is unknown, no more is kept, in characters. */
const MAX_NAME = 100;

/** What is applied, and what was wished: an unknown wish is applied as `off`. */
const Applied = z.object({
  wished: z.string(),
  profile: Profile,
  appliedAt: z.iso.datetime(),
  error: z.string().optional(),
});
type Applied = z.infer<typeof Applied>;

/**
 * The root access that the control plane wishes: applied at once, kept over restarts, reported back
 * (contract: Root access profiles). Where it never wished any, nothing is restricted.
 */
export class RootAccess {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #now: () => Date;
  #applied: Applied | undefined;
  #keepError: string | undefined;
  /** The time of the last wish since the last claim began, in ms since 1970. */
  #lastWish = -Infinity;
  #keeping: Promise<void> = Promise.resolve();

  private constructor(path: string, logger: Logger, now: () => Date) {
    this.#path = path;
    this.#logger = logger;
    this.#now = now;
  }

  /** Takes up what the file `path` keeps. One that cannot be used counts as `off`. Never throws. */
  static async open(
    path: string,
    logger: Logger,
    now: () => Date = () => new Date(),
  ): Promise<RootAccess> {
    const access = new RootAccess(path, logger, now);
    try {
      access.#applied = Applied.parse(JSON.parse(await Deno.readTextFile(path)));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return access;
      const problem = `${path} cannot be used, so root access is off until it is set again`;
      logger.error("root access that was kept is lost", { problem, error: messageOf(error) });
      access.#set("", "off", problem);
      await Deno.copyFile(path, `${path}.corrupt`).catch(() => {});
      await access.#keep();
    }
    return access;
  }

  /** What is told to the control plane; undefined before it has wished anything. */
  get report(): RootAccessReport | undefined {
    if (!this.#applied) return undefined;
    const { profile, appliedAt, error = this.#keepError } = this.#applied;
    return {
      appliedProfile: profile,
      lastAppliedAt: appliedAt,
      ...(error === undefined ? {} : { lastError: error }),
    };
  }

  /** Says in a sentence why `scope` is not allowed; undefined if it is. */
  allows(scope: RootScope): string | undefined {
    return this.#applied && refusalOf(this.#applied.profile, scope);
  }

  /** What a claim that begins now tells, see {@linkcode RootAccess.report}. */
  reportForClaim(): RootAccessReport | undefined {
    this.#lastWish = -Infinity;
    return this.report;
  }

  /**
   * Applies the wish in a claim's answer. An answer that was held may be older than what was pushed
   * since the claim began, and is left alone then.
   */
  applyClaimed(wish: DesiredRootAccess): void {
    if (!(timeOf(wish) < this.#lastWish)) this.apply(wish);
  }

  /** Applies a wish; an unknown profile as `off`. */
  apply(wish: DesiredRootAccess): void {
    this.#lastWish = timeOf(wish) || this.#lastWish;
    const wished = wish.profile.slice(0, MAX_NAME).toWellFormed();
    const known = Profile.safeParse(wished);
    const profile = known.data ?? "off";
    if (this.#applied?.wished !== wished || this.#applied.profile !== profile) {
      const error = `this agent knows no root access profile ${JSON.stringify(wished)}: it is off`;
      this.#set(wished, profile, known.success ? undefined : error);
      this.#logger.info("root access applied", { ...this.report });
    } else if (this.#keepError === undefined) return;
    this.#keeping = this.#keeping.then(() => this.#keep());
  }

  /** Resolves when what was applied so far has been written, or could not be. */
  async kept(): Promise<void> {
    await this.#keeping;
  }

  #set(wished: string, profile: Profile, error?: string): void {
    const appliedAt = this.#now().toISOString();
    this.#applied = { wished, profile, appliedAt, ...(error === undefined ? {} : { error }) };
  }

  async #keep(): Promise<void> {
    try {
      await writeFileAtomic(this.#path, JSON.stringify(this.#applied) + "\n");
      this.#keepError = undefined;
    } catch (error) {
      const problem = `it is applied, but a restart of the agent forgets it: ${messageOf(error)}`;
      if (!this.#keepError) this.#logger.warn("root access cannot be kept", { problem });
      this.#keepError = problem;
    }
  }
}

/** When it was wished, in ms since 1970; NaN, which is neither older nor newer, if it does not say. */
function timeOf({ updatedAt }: DesiredRootAccess): number {
  return Date.parse(updatedAt ?? "");
}
