/** What may be kept of a task for a later agent. */
export const NOTES = ["before", "stdout", "stderr"] as const;
/** What may be kept of a task for a later agent. */
export type Note = (typeof NOTES)[number];

/** The path of a note, beside the other files of its task. */
export function notePath(prefix: string, name: Note): string {
  return `${prefix}.note-${name}`;
}

/** Removes the notes of a task, those that are there. */
export async function removeNotes(prefix: string): Promise<void> {
  const paths = NOTES.map((name) => notePath(prefix, name));
  await Promise.all(paths.map((path) => Deno.remove(path).catch(() => {})));
}
