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

/** A file system of 256 KiB, for the time of a test. */
export class SmallDisk implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Mounts one on a folder, which is made if need be. */
  static async mount(folder: string): Promise<SmallDisk> {
    await Deno.mkdir(folder, { recursive: true });
    await sh('mount -t tmpfs -o size=256k,mode=0700 tmpfs "$1"', folder);
    return new SmallDisk(folder);
  }

  /** Leaves no room for anything. */
  async fill(): Promise<void> {
    await Deno.writeFile(join(this.#folder, "ballast"), new Uint8Array(1024 * 1024))
      .catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await sh('umount "$1"', this.#folder);
  }
}
