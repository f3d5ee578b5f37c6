/** Size of a buffer, in bytes. */
const BYTES = 32 * 1024;
/** So many that nobody uses are kept. */
const KEPT = 16;

const free: Uint8Array<ArrayBuffer>[] = [];

/**
 * A buffer that is used again by whoever borrows the next one: with many tasks the garbage would be
 * more than all that they hold.
 */
export class ByteBuffer implements Disposable {
  /** The bytes, whatever they hold. */
  readonly bytes: Uint8Array<ArrayBuffer> = free.pop() ?? new Uint8Array(BYTES);

  /** Gives the bytes back: nobody may use them any more. */
  [Symbol.dispose](): void {
    if (free.length < KEPT) free.push(this.bytes);
  }
}
