import * as z from "@zod/zod";
import type { DesiredRootAccess, RootAccessReport } from "../control_plane/schemas.ts";
import { pauseUntil, settlesWithin } from "../system/deadline.ts";
import { FixedRecord } from "../system/fixed_record.ts";
import type { Logger } from "../system/logger.ts";
import { Mutex } from "../system/mutex.ts";
import { copyOwn, openOwn } from "../system/own_file.ts";
import { messageOf } from "../system/user_error.ts";
import { Profile, refusalOf, type RootScope } from "./root_scopes.ts";

/** Of the name of a profile that is unknown, no more is kept, in characters. */
const MAX_NAME = 100;
/** Of what went wrong, no more is kept, in characters: the record has a fixed size. */
const MAX_KEPT_ERROR = 300;
/**
 * How long work as root waits for the control plane's first word, in milliseconds: a promise holds
 * for 60 s (contract: Tasks over HTTP).
 */
const FIRST_WORD_MS = 45_000;
/** How long a claim waits for what it is to tell, in milliseconds. */
const KEEPING_MS = 1_000;
const NO_WORD = "nothing is run as root before the control plane has said which root access " +
  "this node has, and it has not said so since the agent was started";

/** What is applied, and what was wished: an unknown wish is applied as `off`. */
const Applied = z.object({
  wished: z.string(),
  profile: Profile,
  appliedAt: z.iso.datetime(),
  error: z.string().optional(),
});
type Applied = z.infer<typeof Applied>;
/** What the record holds: the room for a profile is taken before the first one is wished. */
const Kept = z.union([Applied, z.object({ known: z.literal(false) })]);

/**
 * The root access that the control plane wishes: applied at once, kept over restarts, reported back
 * (contract: Root access profiles). Where it never wished any, nothing is restricted.
 *
 * It is kept in a record that is written in place, so that a full disk cannot hold on to an older
 * and wider profile. An empty file beside it says that a profile was known here: without a record,
 * or with one that cannot be read, root access is `off` then.
 */
export class RootAccess {
  /** Called each time that another profile has been applied. */
  onApplied: () => void = () => {};
  readonly #path: string;
  readonly #record: FixedRecord;
  readonly #heard = Promise.withResolvers<void>();
  readonly #logger: Logger;
  readonly #now: () => Date;
  #applied: Applied | undefined;
  #kept: Applied | undefined;
  #keepError: string | undefined;
  /** The time of the last wish since the last claim began, in ms since 1970. */
  #lastWish = -Infinity;
  readonly #keeping = new Mutex();

  private constructor(path: string, logger: Logger, now: () => Date) {
    this.#path = path;
    this.#record = new FixedRecord(path);
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
      await access.#takeUp();
    } catch (error) {
      const problem = `${path} cannot be used, so root access is off until it is set again`;
      logger.error("saved root access is lost", { problem, error: messageOf(error) });
      access.#set("", "off", problem);
      await copyOwn(path, `${path}.corrupt`).catch(() => {});
      await access.#keep();
    }
    return access;
  }

  /** The profile in force; undefined before the control plane has wished any. */
  get profile(): Profile | undefined {
    return this.#applied?.profile;
  }

  /**
   * What is told to the control plane; undefined before it has wished anything. It is of the profile
   * that was last kept, or could not be: one that is told of is in force after a crash as well.
   */
  get report(): RootAccessReport | undefined {
    return this.#kept && reportOf(this.#kept, this.#keepError);
  }

  /** Says in a sentence why `scope` is not allowed; undefined if it is. */
  allows(scope: RootScope): string | undefined {
    return this.#applied && refusalOf(this.#applied.profile, scope);
  }

  /**
   * The same for work that may have been promised before the agent was started: it waits until the
   * control plane has been heard, since it may have changed its mind meanwhile. A control plane that
   * says nothing for too long is a refusal.
   */
  async allowsNow(
    scope: RootScope,
    signal: AbortSignal,
    limitMs = FIRST_WORD_MS,
  ): Promise<string | undefined> {
    return await this.#isHeard(signal, limitMs) ? this.allows(scope) : NO_WORD;
  }

  /** Notes that the control plane has answered: what it did not say then, it does not wish. */
  heard(): void {
    this.#heard.resolve();
  }

  /**
   * What a claim that begins now tells, see {@linkcode RootAccess.report}. Where a profile is being
   * kept it waits for that, as a claim may be held for long; a disk that stands still holds up none.
   */
  async reportForClaim(): Promise<RootAccessReport | undefined> {
    if (this.#kept !== this.#applied) await pauseUntil(this.kept(), KEEPING_MS);
    this.#lastWish = -Infinity;
    return this.report;
  }

  /**
   * Applies the wish in a claim's answer, if there is one. An answer that was held may be older than what was pushed
   * since the claim began, and is left alone then.
   */
  applyClaimed(wish: DesiredRootAccess | undefined): void {
    if (wish && !(timeOf(wish) < this.#lastWish)) this.apply(wish);
    this.heard();
  }

  /** Applies a wish; an unknown profile as `off`. */
  apply(wish: DesiredRootAccess): void {
    this.#lastWish = timeOf(wish) || this.#lastWish;
    const wished = wish.profile.slice(0, MAX_NAME).toWellFormed();
    const known = Profile.safeParse(wished);
    const profile = known.data ?? "off";
    if (this.#applied?.wished !== wished || this.#applied.profile !== profile) {
      const error = `this agent knows no root access profile ${JSON.stringify(wished)}: it is off`;
      const applied = this.#set(wished, profile, known.success ? undefined : error);
      this.#logger.info("root access applied", { ...reportOf(applied, this.#keepError) });
      void this.#keeping.take(() => this.#keep());
      this.onApplied();
    } else if (this.#keepError !== undefined) {
      void this.#keeping.take(() => this.#keep());
    }
  }

  /** Resolves when what was applied so far has been written, or could not be. */
  async kept(): Promise<void> {
    await this.#keeping.idle();
  }

  #set(wished: string, profile: Profile, error?: string): Applied {
    const appliedAt = this.#now().toISOString();
    this.#applied = { wished, profile, appliedAt, ...(error === undefined ? {} : { error }) };
    return this.#applied;
  }

  async #takeUp(): Promise<void> {
    let kept: z.infer<typeof Kept>;
    try {
      kept = Kept.parse(JSON.parse(await this.#record.read()));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) || await this.#wasKnown()) throw error;
      // Without it a disk that is full by then would not keep the first wish, which is told then.
      await this.#record.create('{"known":false}').catch(() => {});
      return;
    }
    if ("profile" in kept) this.#applied = this.#kept = kept;
    else if (await this.#wasKnown()) throw new Error("a profile was known, and it holds none");
  }

  async #keep(): Promise<void> {
    const applied = this.#applied;
    const error = applied?.error?.slice(0, MAX_KEPT_ERROR);
    try {
      await this.#record.write(JSON.stringify({ ...applied, error }));
      this.#keepError = undefined;
    } catch (error) {
      const problem = `it is applied, but a restart of the agent may forget it: ${
        messageOf(error)
      }`;
      if (!this.#keepError) this.#logger.warn("root access cannot be saved", { problem });
      this.#keepError = problem;
    }
    this.#kept = applied;
    // The record says so as well, so nothing is lost where this fails.
    await openOwn(this.#knownPath, { write: true, create: true }).then((file) => file.close())
      .catch(() => {});
  }

  async #wasKnown(): Promise<boolean> {
    try {
      await Deno.lstat(this.#knownPath);
      return true;
    } catch (error) {
      return !(error instanceof Deno.errors.NotFound);
    }
  }

  get #knownPath(): string {
    return `${this.#path}.known`;
  }

  async #isHeard(signal: AbortSignal, limitMs: number): Promise<boolean> {
    return await settlesWithin(this.#heard.promise, limitMs, signal).catch(() => false);
  }
}

function reportOf(
  { profile, appliedAt, error }: Applied,
  keepError: string | undefined,
): RootAccessReport {
  const lastError = error ?? keepError;
  return {
    appliedProfile: profile,
    lastAppliedAt: appliedAt,
    ...(lastError === undefined ? {} : { lastError }),
  };
}

/** When it was wished, in ms since 1970; NaN, which is neither older nor newer, if it does not say. */
function timeOf({ updatedAt }: DesiredRootAccess): number {
  return Date.parse(updatedAt ?? "");
}
