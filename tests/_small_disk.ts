import { join } from "@std/path";
import { sh } from "./_second_user.ts";

/** Whether a small file system can be mounted here: for root, outside of most containers. */
export async function mayMount(): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  try {
    await using _disk = await SmallDisk.mount(folder);
    return true;
  } catch {
    return false;
  } finally {
    await Deno.remove(folder);
  }
}

/** A small file system, for the time of a test. */
export class SmallDisk implements AsyncDisposable {
  readonly #folder: string;
  readonly #kib: number;

  private constructor(folder: string, kib: number) {
    this.#folder = folder;
    this.#kib = kib;
  }

  /** Mounts one of so many KiB on a folder, which is made if need be. */
  static async mount(folder: string, kib = 256): Promise<SmallDisk> {
    await Deno.mkdir(folder, { recursive: true });
    await sh('mount -t tmpfs -o "size=$2k,mode=0700" tmpfs "$1"', folder, String(kib));
    return new SmallDisk(folder, kib);
  }

  get #ballast(): string {
    return join(this.#folder, "ballast");
  }

  /** Leaves no room for anything. */
  async fill(): Promise<void> {
    await Deno.writeFile(this.#ballast, new Uint8Array(2 * this.#kib * 1024)).catch(() => {});
  }

  /** Gives the room back. */
  async free(): Promise<void> {
    await Deno.remove(this.#ballast);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Whoever still has a file open there keeps nobody from it.
    await sh('umount --lazy "$1"', this.#folder);
  }
}
