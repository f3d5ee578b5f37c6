/** A folder that goes when it is disposed of, and also when this process is interrupted or killed. */
export class TemporaryFolder implements AsyncDisposable {
  /** Where it is. */
  readonly path: string;
  /** Removes it when its own input ends. */
  readonly #remover: Deno.ChildProcess;

  private constructor(path: string) {
    this.path = path;
    this.#remover = new Deno.Command("/bin/sh", {
      args: ["-c", 'cat; rm -rf --one-file-system "$1"', "sh", path],
      // Ctrl-C is not for this child.
      detached: true,
      stdin: "piped",
    }).spawn();
  }

  /** Makes one. */
  static async make(options: Deno.MakeTempOptions): Promise<TemporaryFolder> {
    return new TemporaryFolder(await Deno.makeTempDir(options));
  }

  /** Removes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remover.stdin.close();
    await this.#remover.status;
  }
}
