import { closeOnExec, openLibc } from "../system/libc.ts";

/**
 * What neither Deno nor node-pty does for an open descriptor of a terminal.
 *
 * node-pty leaves its descriptors open in every child that is started later, and Deno's stream on
 * a PTY stops writing for good when the terminal's input is full for a moment. All functions take
 * descriptors of terminals that this process opened.
 */
export interface Tty extends Disposable {
  /** Keeps a descriptor out of the children that are started from now on. */
  closeOnExec(fd: number): void;
  /** The path of the terminal that a descriptor belongs to; undefined if it belongs to none. */
  terminalName(fd: number): string | undefined;
  /** Makes Backspace take a whole character of UTF-8 back where the kernel edits the line. */
  editUtf8(fd: number): void;
  /** Writes what fits now; returns the number of bytes, 0 when nothing fits. */
  write(fd: number, bytes: Uint8Array<ArrayBuffer>): number;
  /** The bytes that make a signal of what a terminal gets now, each with the number of that. */
  signals(fd: number): ReadonlyMap<number, number>;
  /**
   * Drops all input of a terminal, open on both sides, that is not read yet, and sends the signal to
   * who is in front.
   */
  interrupt(fd: number, terminalFd: number, signal: number): void;
  /** Closes a descriptor. */
  close(fd: number): void;
}

const NAME_BYTES = 64;
/** Of glibc's `struct termios`, which begins with its input flags. */
const TERMIOS_BYTES = 60;
const TCSANOW = 0;
const IUTF8 = 0o40000;
/** Among the local flags, the fourth of them: keys make signals; they do not drop what is unread. */
const ISIG = 0o1;
const NOFLSH = 0o200;
/** Where the keys begin, and of those that make a signal, which one they make. */
const KEYS_AT = 17;
const SIGNAL_KEYS = [[0, 2], [1, 3], [10, 20]] as const;
const TCIFLUSH = 0;
const TCOFLUSH = 1;
const TIOCSIG = 0x40045436n;

/**
 * Opens them.
 *
 * @throws when the C library cannot be used.
 */
export function openTty(): Tty {
  const libc = openLibc();
  const { symbols } = libc;
  return {
    closeOnExec: (fd) => closeOnExec(libc, fd),
    terminalName: (fd) => {
      const name = new Uint8Array(NAME_BYTES);
      if (symbols.ttyname_r(fd, name, BigInt(NAME_BYTES)) !== 0) return undefined;
      return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
    },
    editUtf8: (fd) => {
      const termios = new Uint32Array(TERMIOS_BYTES / 4);
      if (symbols.tcgetattr(fd, termios) !== 0) return;
      termios[0] = (termios[0] ?? 0) | IUTF8;
      symbols.tcsetattr(fd, TCSANOW, termios);
    },
    write: (fd, bytes) => Math.max(0, Number(symbols.write(fd, bytes, BigInt(bytes.length)))),
    signals: (fd) => {
      const termios = new Uint32Array(TERMIOS_BYTES / 4);
      if (symbols.tcgetattr(fd, termios) !== 0) return new Map();
      const flags = termios[3] ?? 0;
      if (!(flags & ISIG) || flags & NOFLSH) return new Map();
      const keys = new Uint8Array(termios.buffer).subarray(KEYS_AT);
      const made = SIGNAL_KEYS.map(([at, signal]) => [keys[at] ?? 0, signal] as const);
      // Zero is no key: it switches that signal off.
      return new Map(made.filter(([key]) => key !== 0));
    },
    interrupt: (fd, terminalFd, signal) => {
      // What is on the way comes first: it would take the place of what is there.
      symbols.tcflush(fd, TCOFLUSH);
      symbols.tcflush(terminalFd, TCIFLUSH);
      symbols.ioctl(fd, TIOCSIG, BigInt(signal));
    },
    close: (fd) => void symbols.close(fd),
    [Symbol.dispose]: () => libc[Symbol.dispose](),
  };
}
