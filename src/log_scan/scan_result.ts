/** One entry of a log. */
export interface ScanEntry {
  /** When it was written, RFC 3339, where the source says so. */
  timestamp?: string;
  /** Its text. */
  message: string;
  /** The unit that it is of. */
  unit?: string;
  /** The program that wrote it. */
  identifier?: string;
}

/** Where a scan has ended, for the next one to go on from. */
export interface ScanCursor {
  /** The file's inode, as text. */
  fileInode?: string;
  /** How many bytes of the file are read. */
  fileOffset?: number;
  /** The journal's own cursor. */
  journalCursor?: string;
  /** When it was read, RFC 3339. */
  lastReadAt: string;
  /** Why the cursor of the request was not gone on from. */
  cursorResetReason?: string;
}

/** What a source has given. */
export interface Scanned {
  /** Its entries, oldest first. */
  entries: ScanEntry[];
  /** Where it has ended. */
  cursor: ScanCursor;
  /** Whether the limits have left something out. */
  truncated: boolean;
  /** How many bytes the entries have. */
  bytesRead: number;
  /** What the reader should know besides. */
  warnings: string[];
}

/** Result of `log.scan` (contract: log.scan). */
export type LogScanResult = Scanned & {
  sourcePresetId: string;
  sourceType: "file" | "journal";
  linesRead: number;
};
