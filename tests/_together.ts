/** Runs the cases of a test at the same time; all of them come to their end, all failures are told. */
export async function together(cases: Record<string, () => Promise<unknown>>): Promise<void> {
  const names = Object.keys(cases);
  const results = await Promise.allSettled(Object.values(cases).map((run) => run()));
  const failures = results.flatMap((result, i) =>
    result.status === "rejected" ? [{ name: names[i], reason: result.reason }] : []
  );
  if (failures.length === 0) return;
  const stories = failures.map(({ name, reason }) =>
    `• ${name}: ${reason instanceof Error ? reason.stack : reason}`
  );
  throw new Error(`${failures.length} of ${names.length} cases failed\n${stories.join("\n")}`);
}

/** Shows a figure that was measured, beside the results of the tests. */
export function tell(figure: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${figure}\n`));
}
