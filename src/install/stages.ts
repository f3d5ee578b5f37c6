import type { EnrollmentApi } from "../control_plane/agent_api.ts";
import { messageOf } from "../system/user_error.ts";

/** The stages of an installation, with what the web app shows of each (contract: Enrollment). */
const STAGES = {
  installer_started: { percent: 5, message: "The installer has started" },
  dependencies_installing: { percent: 10, message: "The machine is being checked" },
  dependencies_ready: { percent: 20, message: "The machine meets all requirements" },
  service_user_ready: { percent: 30, message: "The user for tasks exists" },
  binary_download_started: { percent: 40, message: "The program is being copied" },
  binary_downloaded: { percent: 60, message: "The program is installed" },
  agent_bootstrapping: { percent: 75, message: "The machine is enrolled" },
  service_started: { percent: 100, message: "The agent is running" },
} as const;

/** A stage that the control plane is told. */
export type Stage = keyof typeof STAGES;

/** What the contract takes of a message, in UTF-16 units. */
const MAX_MESSAGE_UNITS = 500;

/** What {@linkcode StageReporter} is made of. */
export interface StageReporterOptions {
  /** The control plane. */
  api: Pick<EnrollmentApi, "progress">;
  /** The bootstrap token that the installation was begun with. */
  token: string;
  /** Hears once that the control plane does not hear. */
  warn: (sentence: string) => void;
}

/** Tells the control plane how the installation goes. It never fails the installation. */
export class StageReporter {
  readonly #options: StageReporterOptions;
  #warned = false;

  /** Nothing is told yet. */
  constructor(options: StageReporterOptions) {
    this.#options = options;
  }

  /** A stage is reached. */
  async reached(stage: Stage): Promise<void> {
    const { percent, message } = STAGES[stage];
    await this.#tell({
      stage,
      status: percent === 100 ? "completed" : "installing",
      progressPercent: percent,
      statusMessage: message,
    });
  }

  /** The installation has failed. */
  async failed(reason: string): Promise<void> {
    const statusMessage = reason.replaceAll(this.#options.token, "***")
      .slice(0, MAX_MESSAGE_UNITS).toWellFormed();
    await this.#tell({ stage: "failed", status: "failed", statusMessage });
  }

  async #tell(progress: Omit<Parameters<EnrollmentApi["progress"]>[0], "token">): Promise<void> {
    const { api, token, warn } = this.#options;
    try {
      await api.progress({ token, ...progress });
    } catch (error) {
      if (this.#warned) return;
      this.#warned = true;
      const reason = messageOf(error).replaceAll(token, "***");
      warn(`The web app does not show how the installation goes (${reason}).`);
    }
  }
}
