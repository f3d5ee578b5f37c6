/**
 * Every function of the C library that the agent calls, and the one place that opens it (but for the
 * worker of cli/run.ts). Deno's own
 * operations come first: this is for what they do not reach. A module wraps the functions that it
 * needs, under names of its own, and passes every result that may be -1 through {@linkcode Libc.check}.
 *
 * `fcntl`, `ioctl`, `open`, `openat` and `syscall` take a varying number of arguments in C. Here they have
 * the number that is used, as integers, which the calling conventions of x64 and arm64 pass alike.
 */
const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" },
  strerror: { parameters: ["i32"], result: "pointer" },
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64"], result: "i64" },
  // This process.
  execv: { parameters: ["buffer", "buffer"], result: "i32" },
  setsid: { parameters: [], result: "i32" },
  signal: { parameters: ["i32", "pointer"], result: "pointer" },
  // Memory.
  malloc_trim: { parameters: ["usize"], result: "i32" },
  madvise: { parameters: ["u64", "usize", "i32"], result: "i32" },
  // Descriptors.
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  readInBackground: {
    name: "read",
    parameters: ["i32", "buffer", "usize"],
    result: "isize",
    nonblocking: true,
  },
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  close: { parameters: ["i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  pipe2: { parameters: ["buffer", "i32"], result: "i32" },
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  splice: {
    parameters: ["i32", "pointer", "i32", "buffer", "usize", "u32"],
    result: "isize",
  },
  spliceInBackground: {
    name: "splice",
    parameters: ["i32", "pointer", "i32", "buffer", "usize", "u32"],
    result: "isize",
    nonblocking: true,
  },
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epollWaitInBackground: {
    name: "epoll_wait",
    parameters: ["i32", "buffer", "i32", "i32"],
    result: "i32",
    nonblocking: true,
  },
  mkfifo: { parameters: ["buffer", "u32"], result: "i32" },
  // Folders.
  opendir: { parameters: ["buffer"], result: "pointer" },
  readdir: { parameters: ["pointer"], result: "pointer" },
  closedir: { parameters: ["pointer"], result: "i32" },
  // Files of a folder that is open.
  openat: { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" },
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  statfs: { parameters: ["buffer", "buffer"], result: "i32" },
  statfsInBackground: {
    name: "statfs",
    parameters: ["buffer", "buffer"],
    result: "i32",
    nonblocking: true,
  },
  fchown: { parameters: ["i32", "u32", "u32"], result: "i32" },
  fsync: { parameters: ["i32"], result: "i32" },
  renameat: { parameters: ["i32", "buffer", "i32", "buffer"], result: "i32" },
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  // Terminals.
  ttyname_r: { parameters: ["i32", "buffer", "usize"], result: "i32" },
  tcgetattr: { parameters: ["i32", "buffer"], result: "i32" },
  tcsetattr: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  tcflush: { parameters: ["i32", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "u64", "i64"], result: "i32" },
  // Sockets.
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "isize" },
} as const satisfies Deno.ForeignLibraryInterface;

/** What takes the functions of the C library, each under its name in {@linkcode SYMBOLS}. */
type Functions = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** The C library as it is loaded. */
interface Library {
  symbols: Functions;
  close(): void;
}

/** The C library, open until it is disposed of. */
export interface Libc extends Disposable {
  /** Its functions, as they are in C. */
  readonly symbols: Functions;
  /**
   * Gives the result of a call back as a number. It has to be called before any other function of
   * the library is; `call` says in words what was tried.
   *
   * @throws {LibcError} when the result is negative.
   */
  check(result: number | bigint, call: string): number;
}

/** A function of the C library has failed. */
export class LibcError extends Error {
  /** Always "LibcError". */
  override readonly name = "LibcError";
  /** Why, as a number of the kernel's (`errno`). */
  readonly errno: number;

  /** `reason` is the system's text for `errno`. */
  constructor(call: string, errno: number, reason: string) {
    super(`${call}: ${reason}`);
    this.errno = errno;
  }
}

/** Those who have it open share one. */
let shared: { library: Library; users: number } | undefined;

/**
 * Opens the C library, which costs nothing where it is open already.
 *
 * @throws {Error} when the machine has no glibc, or `--allow-ffi` was not given.
 */
export function openLibc(): Libc {
  const open = shared ??= { library: load(), users: 0 };
  open.users++;
  let isOpen = true;
  const { symbols } = open.library;
  return {
    symbols,
    check: (result, call) => {
      const value = Number(result);
      if (value < 0) throw lastError(symbols, call);
      return value;
    },
    [Symbol.dispose]: () => {
      if (!isOpen) return;
      isOpen = false;
      if (--open.users > 0) return;
      shared = undefined;
      open.library.close();
    },
  };
}

/**
 * Holds on to bytes whose addresses a structure of C has, until it is disposed of: to the collector an
 * address is a number, and what only that leads to may be freed before the call.
 */
export class Pinned implements Disposable {
  readonly #held: ArrayBuffer[] = [];

  /** Where bytes are. */
  addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
    // To ask for the buffer also takes few bytes out of the heap, where they might be moved.
    this.#held.push(bytes.buffer);
    return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
  }

  /** To be called after the call. */
  [Symbol.dispose](): void {
    this.#held.length = 0;
  }
}

/** Of `open` and its like: keeps the descriptor out of all children. */
export const O_CLOEXEC = 0o2000000;
/** Of `open` and its like: to write, and nothing else. */
export const O_WRONLY = 1;
/** Of `open` and its like: to read and to write. */
export const O_RDWR = 2;
/** Of `open` and its like: the file is made if it is not there. */
export const O_CREAT = 0o100;
/** Of `open` and its like: no call on the descriptor waits. */
export const O_NONBLOCK = 0o4000;
const IS_ARM = Deno.build.arch === "aarch64";
/** Of `open` and its like: nothing but a folder. */
export const O_DIRECTORY: number = IS_ARM ? 0o40000 : 0o200000;
/** Of `open` and its like: not what a link leads to. */
export const O_NOFOLLOW: number = IS_ARM ? 0o100000 : 0o400000;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** Keeps a descriptor out of the children that are started from now on. */
export function closeOnExec({ symbols }: Libc, fd: number): void {
  symbols.fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/** Most of the kernel's files fit; for a longer one there is room as it is read. */
const CHUNK_BYTES = 8192;

/**
 * The text of one of the kernel's files, as far as `maxBytes`: Deno itself opens none in /proc. For
 * what the kernel has in memory: a driver's file, or a process's own pages, may keep all else waiting.
 *
 * @throws {LibcError} when it cannot be opened or read.
 */
export function readKernelFile(libc: Libc, path: string, maxBytes = Infinity): string {
  const { symbols, check } = libc;
  const fd = check(symbols.open(cString(path), O_CLOEXEC, 0), path);
  try {
    const text = new GrowingBytes(maxBytes);
    while (text.add(check(symbols.read(fd, text.room, BigInt(text.room.length)), path)));
    return text.decode();
  } finally {
    symbols.close(fd);
  }
}

/**
 * The text of a file of the kernel's that somebody else answers for, a driver or a process: it is
 * read by another thread, and all else goes on meanwhile.
 *
 * @throws {Error} when it cannot be opened or read.
 */
export async function readSlowKernelFile(path: string): Promise<string> {
  using libc = openLibc();
  const { symbols, check } = libc;
  const fd = check(symbols.open(cString(path), O_CLOEXEC, 0), path);
  try {
    const text = new GrowingBytes(Infinity);
    for (let length = -1; length !== 0;) {
      length = Number(await symbols.readInBackground(fd, text.room, BigInt(text.room.length)));
      if (length < 0) throw new Error(`${path} cannot be read`);
      text.add(length);
    }
    return text.decode();
  } finally {
    symbols.close(fd);
  }
}

const decoder = new TextDecoder();

/** Bytes that are read piece by piece. */
class GrowingBytes {
  readonly #maxBytes: number;
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#bytes = new Uint8Array(Math.min(maxBytes, CHUNK_BYTES));
  }

  /** Where the next ones go. */
  get room(): Uint8Array<ArrayBuffer> {
    if (this.#length === this.#bytes.length) {
      const longer = new Uint8Array(Math.min(this.#maxBytes, 2 * this.#length));
      longer.set(this.#bytes);
      this.#bytes = longer;
    }
    return this.#bytes.subarray(this.#length);
  }

  /** Takes so many that are there now; whether there may be more. */
  add(length: number): boolean {
    this.#length += length;
    return length > 0 && this.#length < this.#maxBytes;
  }

  decode(): string {
    return decoder.decode(this.#bytes.subarray(0, this.#length));
  }
}

/** Of `struct dirent` on 64 bits: where its name begins. */
const NAME_OFFSET = 19;

/** The names in a folder of the kernel's, `.` and `..` among them; undefined if it is not there. */
export function readKernelFolder({ symbols }: Libc, path: string): string[] | undefined {
  const folder = symbols.opendir(cString(path));
  if (!folder) return undefined;
  const names: string[] = [];
  try {
    for (let entry; (entry = symbols.readdir(folder));) {
      names.push(Deno.UnsafePointerView.getCString(entry, NAME_OFFSET));
    }
  } finally {
    symbols.closedir(folder);
  }
  return names;
}

/** Text as C takes it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError("text for the C library contains NUL");
  return new TextEncoder().encode(`${text}\0`);
}

/**
 * Each function is bound when it is used first, by its address: for those that a library is opened with,
 * Deno writes machine code, 8 ms and 2 MB for all of them.
 */
function load(): Library {
  const entries = Object.entries<Deno.ForeignFunction & { name?: string }>(SYMBOLS);
  const wanted = entries.map(([key, { name = key }]) => [key, { name, type: "pointer" }] as const);
  try {
    const library = Deno.dlopen("libc.so.6", Object.fromEntries(wanted));
    const bound = {};
    for (const [key, definition] of entries) {
      Object.defineProperty(bound, key, {
        configurable: true,
        get: () => {
          const address = Deno.UnsafePointer.value(library.symbols[key] ?? null);
          const pointer = Deno.UnsafePointer.create<typeof definition>(address);
          if (!pointer) throw new Error(`the C library has no ${key}`);
          const called = new Deno.UnsafeFnPointer(pointer, definition);
          const value = called.call.bind(called);
          Object.defineProperty(bound, key, { value });
          return value;
        },
      });
    }
    return { symbols: bound as Functions, close: () => library.close() };
  } catch (cause) {
    throw new Error("the C library of this machine cannot be used: it has to be glibc", { cause });
  }
}

function lastError(symbols: Functions, call: string): LibcError {
  const place = symbols.__errno_location();
  const errno = place ? new Deno.UnsafePointerView(place).getInt32() : 0;
  const text = symbols.strerror(errno);
  const reason = text ? Deno.UnsafePointerView.getCString(text) : `errno ${errno}`;
  return new LibcError(call, errno, reason);
}

const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;

/**
 * Gives the blocks of a part of a file back to the disk: it reads as zeros then, and the rest stays
 * where it is. False where the file system, or a machine without a C library, cannot.
 */
export function punchHole(path: string, from: number, to: number): boolean {
  try {
    using libc = openLibc();
    const { symbols, check } = libc;
    const fd = check(symbols.open(cString(path), O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0), path);
    try {
      const length = BigInt(to - from);
      check(symbols.fallocate(fd, KEEP_SIZE | PUNCH_HOLE, BigInt(from), length), path);
      return true;
    } finally {
      symbols.close(fd);
    }
  } catch {
    return false;
  }
}
