import { cString, openLibc } from "./libc.ts";

const STDOUT = 1;
const AT_EMPTY_PATH = 0x1000;
const STATX_INO = 0x100;
const STATX_BYTES = 256;

/** Whether standard output is the journal's: systemd names its stream by device and inode. */
export function isJournal(stream: string | undefined): boolean {
  if (stream === undefined) return false;
  try {
    using libc = openLibc();
    const status = new Uint8Array(STATX_BYTES);
    const { symbols, check } = libc;
    check(symbols.statx(STDOUT, cString(""), AT_EMPTY_PATH, STATX_INO, status), "standard output");
    const view = new DataView(status.buffer);
    const [major, minor] = [view.getUint32(136, true), view.getUint32(140, true)];
    // As makedev(3) puts the two together.
    const device = ((major & ~0xfff) * 2 ** 32) + ((minor & ~0xff) * 2 ** 12) +
      ((major & 0xfff) * 2 ** 8) + (minor & 0xff);
    return stream === `${device}:${view.getBigUint64(32, true)}`;
  } catch {
    return false;
  }
}
