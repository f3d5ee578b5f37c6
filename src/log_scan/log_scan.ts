import { storable } from "../logs/log_entries.ts";
import { messageOf, UserError } from "../system/user_error.ts";
import { describeBadPayload, type TaskContext, type TaskType } from "../tasks/task_type.ts";
import { NotPermittedError, type Read, readAs } from "./read_as.ts";
import { LogScanRequest, type LogScanResult, PRESETS } from "./scan_request.ts";
import { scanFile } from "./scan_file.ts";
import { scanJournal } from "./scan_journal.ts";

/** Where the machine keeps its logs. */
const LOG_FOLDER = "/var/log";

/** `log.scan`: the end of a log, or what has come since (contract: log.scan). */
export const logScan: TaskType = logScanIn(LOG_FOLDER);

/** {@linkcode logScan} of the files of another folder. */
export function logScanIn(folder: string): TaskType {
  return {
    mayBeginAnew: true,
    prepare: (payload) => async (context) => {
      try {
        const result = await permitted(parseRequest(payload), folder, context);
        const message = (text: string) => storable(context.mask.apply(text));
        const entries = result.entries.map((each) => ({ ...each, message: message(each.message) }));
        return { status: "success", exitCode: 0, result: { ...result, entries } };
      } catch (error) {
        if (context.signal.aborted) throw error;
        // The console shows the output of a scan that failed, not its error.
        const sentence = storable(context.mask.apply(messageOf(error)));
        await context.onLines("stdout", `${sentence}\n`);
        return { status: "failed", error: sentence };
      }
    },
  };
}

/**
 * The request that a payload makes.
 *
 * @throws {UserError} for one that makes none.
 */
export function parseRequest(payload: unknown): LogScanRequest {
  const request = LogScanRequest.safeParse(payload);
  if (request.success) return request.data;
  throw new UserError(describeBadPayload(request.error));
}

/** Scans the source that a request names. */
export async function scan(
  request: LogScanRequest,
  read: Read,
  folder = LOG_FOLDER,
): Promise<LogScanResult> {
  const { sourcePresetId } = request;
  const source = PRESETS.get(sourcePresetId);
  if (!source) throw new UserError(`there is no log preset ${sourcePresetId}.`);
  const scanned = source.type === "file"
    ? await scanFile(folder, source.name, request, read)
    : await scanJournal(source.unit, request, read);
  const linesRead = scanned.entries.length;
  return { sourcePresetId, sourceType: source.type, ...scanned, linesRead };
}

/** Without root where that suffices; else as root where it was asked for and the profile allows it. */
async function permitted(
  request: LogScanRequest,
  folder: string,
  { privileges: { unprivileged, root, allows }, signal }: TaskContext,
): Promise<LogScanResult> {
  if (!request.runAsRoot) return await scan(request, readAs(unprivileged, signal), folder);
  if (unprivileged !== root) {
    try {
      return await scan(request, readAs(unprivileged, signal), folder);
    } catch (error) {
      if (!(error instanceof NotPermittedError)) throw error;
    }
  }
  const refusal = await allows("operational", signal);
  if (refusal !== undefined) throw new UserError(refusal);
  return await scan(request, readAs(root, signal), folder);
}
