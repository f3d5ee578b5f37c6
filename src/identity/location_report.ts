import * as z from "@zod/zod";
import type { Location } from "../control_plane/schemas.ts";
import { FixedRecord } from "../system/fixed_record.ts";
import type { Logger } from "../system/logger.ts";

/** A control plane that refuses locations is not sent one for so long, in milliseconds. */
const REFUSED_MS = 24 * 3_600_000;
/** Where no location was found, it is not looked for again for so long, in milliseconds. */
const FIND_AGAIN_MS = 10 * 60_000;

const Kept = z.object({ apiUrl: z.string(), refusedAt: z.iso.datetime() });

/** What a {@linkcode LocationReport} works with. */
export interface LocationReportOptions {
  /** Where a refusal is kept. */
  path: string;
  /** The control plane that may refuse it. */
  apiUrl: string;
  /** Finds the location. */
  find: () => Promise<Location | undefined>;
  /** The agent's log. */
  logger: Logger;
  /** The wall clock, in milliseconds since 1970. */
  now?: () => number;
}

/**
 * The location for `agent.auth`, where the control plane takes it: of those that do not, each refuses
 * the whole authentication (contract: Location). A refusal is kept over restarts.
 */
export class LocationReport {
  readonly #options: Required<LocationReportOptions>;
  readonly #record: FixedRecord;
  #refusedAtMs: number | undefined;
  #found: { location: Location | undefined; atMs: number } | undefined;

  private constructor(options: LocationReportOptions) {
    this.#options = { now: Date.now, ...options };
    this.#record = new FixedRecord(options.path);
  }

  /** Takes up what is kept of a refusal. Never throws. */
  static async open(options: LocationReportOptions): Promise<LocationReport> {
    const report = new LocationReport(options);
    try {
      const { apiUrl, refusedAt } = Kept.parse(JSON.parse(await report.#record.read()));
      if (apiUrl === options.apiUrl) report.#refusedAtMs = Date.parse(refusedAt);
    } catch {
      // There is none, or it is lost: the control plane will refuse it once more.
    }
    return report;
  }

  /** What is to be sent with the next authentication, if anything. */
  async current(): Promise<Location | undefined> {
    const { now, find } = this.#options;
    const sinceMs = now() - (this.#refusedAtMs ?? NaN);
    // A clock that was set back makes nothing last longer.
    if (sinceMs >= 0 && sinceMs < REFUSED_MS) return undefined;
    if (this.#found?.location) return this.#found.location;
    if (this.#found && Math.abs(now() - this.#found.atMs) < FIND_AGAIN_MS) return undefined;
    this.#found = { location: await find(), atMs: now() };
    return this.#found.location;
  }

  /** Notes that the control plane lets this node in without it, and did not with it. */
  async refused(): Promise<void> {
    const { apiUrl, logger, now } = this.#options;
    this.#refusedAtMs = now();
    const refusedAt = new Date(this.#refusedAtMs).toISOString();
    // A disk that refuses costs one more refusal after the next start.
    await this.#record.write(JSON.stringify({ apiUrl, refusedAt })).catch(() => {});
    // Said when it holds over a restart as well.
    logger.info("control plane does not take a location", { askedAgainAfter: "24h" });
  }
}
