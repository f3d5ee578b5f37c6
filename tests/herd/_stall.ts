/** Time between two looks, in milliseconds. */
export const LOOK_MS = 20;
/** Shorter ones bring no two seconds together. */
const NOTED_MS = 100;

/** To be called every {@linkcode LOOK_MS}: tells by how much that was later, which it is where the machine has no time. */
export function stallNoter(note: (ms: number) => void): () => void {
  let lastMs = performance.now();
  return () => {
    const now = performance.now();
    const lateMs = now - lastMs - LOOK_MS;
    lastMs = now;
    if (lateMs > NOTED_MS) note(Math.round(lateMs));
  };
}
