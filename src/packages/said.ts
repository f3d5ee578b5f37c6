import type { OutputChunk } from "../hosts/host.ts";
import type { SecretMask } from "../logs/secret_mask.ts";
import { writeAll } from "../system/atomic_file.ts";
import { openOwn, readOwn } from "../system/own_file.ts";
import type { TaskContext } from "../tasks/task_type.ts";

/** Of each stream so much is looked at for reasons, in UTF-16 units. */
const MAX_UNITS = 50_000;
/** A note that has grown so long begins anew, in bytes. */
const MAX_NOTE_BYTES = 1 << 20;

type Stream = OutputChunk["stream"];

/**
 * What a package manager has said last, also to an earlier agent: each writes down what it hears, as
 * the reasons of a failure may have been told before the next one has come.
 */
export class Said {
  readonly #mask: SecretMask;
  readonly #heard: Record<Stream, Heard>;

  private constructor(mask: SecretMask, heard: Record<Stream, Heard>) {
    this.#mask = mask;
    this.#heard = heard;
  }

  /** Begins with what an earlier agent has heard of a program that is taken up, or with nothing. */
  static async open({ mask, note, takenUp }: TaskContext): Promise<Said> {
    const [stdout, stderr] = [new Heard(note("stdout")), new Heard(note("stderr"))];
    for (const heard of [stdout, stderr]) {
      if (takenUp) await heard.recall();
      else await heard.forget();
    }
    return new Said(mask, { stdout, stderr });
  }

  /** Passes an output on. */
  async *of(output: AsyncIterable<OutputChunk>): AsyncGenerator<OutputChunk, void> {
    using _stdout = this.#heard.stdout;
    using _stderr = this.#heard.stderr;
    for await (const chunk of output) {
      await this.#heard[chunk.stream].push(chunk.bytes);
      yield chunk;
    }
  }

  /** The end of standard output. */
  get stdout(): string {
    return this.#mask.apply(this.#heard.stdout.text);
  }

  /** The end of standard error. */
  get stderr(): string {
    return this.#mask.apply(this.#heard.stderr.text);
  }
}

/** The end of what came on one stream, in memory and in a file. */
class Heard implements Disposable {
  readonly #path: string;
  readonly #decoder: TextDecoder = new TextDecoder();
  #file: Deno.FsFile | undefined;
  #noted = 0;
  text = "";

  constructor(path: string) {
    this.#path = path;
  }

  async recall(): Promise<void> {
    const noted = await readOwn(this.#path).catch(() => "");
    this.text = noted.slice(-MAX_UNITS);
    this.#noted = new TextEncoder().encode(noted).length;
  }

  async forget(): Promise<void> {
    await Deno.remove(this.#path).catch(() => {});
  }

  async push(bytes: Uint8Array): Promise<void> {
    this.text = (this.text + this.#decoder.decode(bytes, { stream: true })).slice(-MAX_UNITS);
    const isFull = this.#noted + bytes.length > MAX_NOTE_BYTES;
    const noted = isFull ? new TextEncoder().encode(this.text) : bytes;
    this.#noted = (isFull ? 0 : this.#noted) + noted.length;
    // A full disk costs a sentence its reason, if the agent dies meanwhile.
    await this.#note(noted, isFull).catch(() => {});
  }

  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
  }

  async #note(bytes: Uint8Array, isAnew: boolean): Promise<void> {
    const file = this.#file ??= await openOwn(this.#path, { append: true, create: true });
    if (isAnew) await file.truncate();
    await writeAll(file, bytes);
  }
}
