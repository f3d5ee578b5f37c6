import { cString, type Libc, O_CLOEXEC, openLibc } from "../system/libc.ts";

const FILE_BYTES = 4096;
const ROOT = "/sys/fs/cgroup";

/** A number that a control group has in a file. */
export interface GroupCount {
  /** The hierarchies that may have it, by their folders: "" for the only one of cgroup v2. */
  in: readonly string[];
  /** The file's name. */
  file: string;
  /** Finds the number in its text. */
  read: (text: string) => number;
}

/** Such a file that is open. */
export interface GroupFile {
  /** Its descriptor. */
  fd: number;
  /** The number now; undefined when the group has gone. */
  read: () => number | undefined;
}

/** A number that stands behind its name: a name and a number in each line. */
export function countIn(text: string, name: string): number {
  const line = text.split("\n").find((line) => line.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

/** The files of a control group: the kernel's own numbers, for which nobody has to be asked. */
export class GroupFiles implements Disposable {
  readonly #group: string;
  readonly #root: string;
  readonly #libc: Libc = openLibc();
  readonly #fds: number[] = [];

  /** Those of the `group` that systemd names; the hierarchies are in `root`. */
  constructor(group: string, root: string = ROOT) {
    this.#group = group;
    this.#root = root;
  }

  /** Opens the first file that there is of these, until the group's files are disposed of. */
  open(...counts: readonly GroupCount[]): GroupFile | undefined {
    const { symbols } = this.#libc;
    for (const { in: hierarchies, file, read } of counts) {
      for (const hierarchy of hierarchies) {
        const path = `${this.#root}${hierarchy}${this.#group}/${file}`;
        const fd = symbols.open(cString(path), O_CLOEXEC, 0);
        if (fd < 0) continue;
        this.#fds.push(fd);
        return { fd, read: () => this.#read(fd, read) };
      }
    }
    return undefined;
  }

  /** Closes them. */
  [Symbol.dispose](): void {
    for (const fd of this.#fds.splice(0)) this.#libc.symbols.close(fd);
    this.#libc[Symbol.dispose]();
  }

  #read(fd: number, read: (text: string) => number): number | undefined {
    const bytes = new Uint8Array(FILE_BYTES);
    const length = Number(this.#libc.symbols.pread(fd, bytes, BigInt(FILE_BYTES), 0n));
    if (length < 0) return undefined;
    const count = read(new TextDecoder().decode(bytes.subarray(0, length)));
    return Number.isFinite(count) ? count : undefined;
  }
}
