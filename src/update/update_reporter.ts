import type { AgentApi } from "../control_plane/agent_api.ts";
import { Backoff } from "../system/backoff.ts";
import { isTransient, leaveAloneMs, RefusedError } from "../control_plane/errors.ts";
import { UPDATE_PERCENT, type UpdateProgress } from "../control_plane/schemas.ts";
import { settlesWithin } from "../system/deadline.ts";
import { Mutex } from "../system/mutex.ts";
import { delay } from "@std/async";
import { messageOf } from "../system/user_error.ts";

/** The longest message, in UTF-16 units: a sentence for a table. */
const MAX_MESSAGE_UNITS = 1_000;

/** The longest pause between two tries: an outage may last, and many nodes may be updated in it. */
const MAX_PAUSE_MS = 5 * 60_000;

/** What an operator is shown meanwhile. */
const WORDS: Record<keyof typeof UPDATE_PERCENT, string> = {
  dispatched: "The agent begins with the update.",
  downloading: "Downloading the release and verifying its signature.",
  verifying: "Verifying the checksum and unpacking the release.",
  installing: "Replacing the program; the old one stays aside.",
  restarting: "Restarting the service.",
  waiting_for_reconnect: "Waiting until the new version has run and served for a while.",
};

/** Who takes the reports; {@linkcode AgentApi} does. */
export type UpdateApi = Pick<AgentApi, "updateProgress">;

/**
 * Tells the control plane how an update goes: every report in its turn, each until it is answered.
 * The update does not wait for it, as the control plane may be away.
 */
export class UpdateReporter {
  readonly #api: UpdateApi;
  readonly #targetId: string;
  readonly #warn: (sentence: string) => void;
  readonly #giveUp = new AbortController();
  readonly #turns = new Mutex();
  #last: Promise<boolean> = Promise.resolve(true);

  /** `warn` hears of a report that was refused. */
  constructor(api: UpdateApi, targetId: string, warn: (sentence: string) => void) {
    this.#api = api;
    this.#targetId = targetId;
    this.#warn = warn;
  }

  /** Says what the update is at. */
  reached(status: keyof typeof UPDATE_PERCENT): void {
    this.#add({ status, progressPercent: UPDATE_PERCENT[status], message: WORDS[status] });
  }

  /** Says that it has failed, and how far it had come. */
  failed(message: string, progressPercent: number): void {
    const cut = message.slice(0, MAX_MESSAGE_UNITS).toWellFormed().replaceAll("\0", "");
    this.#add({ status: "failed", progressPercent, message: cut });
  }

  /** Waits until all is told, for so long; gives whether the last report was answered. */
  async told(limitMs: number, signal?: AbortSignal): Promise<boolean> {
    const stop = () => this.#giveUp.abort();
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    await settlesWithin(this.#last, limitMs);
    signal?.removeEventListener("abort", stop);
    this.#giveUp.abort();
    return await this.#last;
  }

  #add(progress: UpdateProgress): void {
    this.#last = this.#turns.take(() => this.#send(progress));
  }

  /** A refusal is an answer: the control plane has the update for ended, for example. */
  async #send(progress: UpdateProgress): Promise<boolean> {
    const { signal } = this.#giveUp;
    const backoff = new Backoff({ firstMs: 500, maxMs: MAX_PAUSE_MS });
    while (!signal.aborted) {
      try {
        await this.#api.updateProgress(this.#targetId, progress, signal);
        return true;
      } catch (error) {
        if (error instanceof RefusedError && error.isOwn && !isTransient(error)) {
          this.#warn(
            `The control plane refuses the status ${progress.status}: ${messageOf(error)}`,
          );
          return true;
        }
        const pauseMs = leaveAloneMs(error) + backoff.next();
        await delay(pauseMs, { signal }).catch(() => {});
      }
    }
    return false;
  }
}
