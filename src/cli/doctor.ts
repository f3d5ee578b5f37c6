import { allChecks, runChecks } from "../doctor/run_checks.ts";
import { findingText, type NamedFinding, summarize, summaryText } from "../doctor/check.ts";
import { thisMachine } from "../doctor/check_context.ts";
import { shieldDescriptors } from "../system/inherited_descriptors.ts";
import { showsColors } from "../system/text.ts";
import { EXIT_FAILED } from "../system/user_error.ts";
import { takeEnvironment } from "./environment.ts";
import { Interruption } from "./interruption.ts";
import { complain, print } from "./output.ts";

/** Checks all that the agent needs, and says how to fix what fails; gives the exit code. */
export async function doctor({ json = false }: { json?: boolean }): Promise<number> {
  using _libc = shieldDescriptors((error) =>
    complain(`what is run may get the descriptors that doctor was started with: ${error}.`)
  );
  using interruption = new Interruption("The checks were interrupted.");
  const { signal } = interruption;
  const checks = allChecks(thisMachine(takeEnvironment(), signal));
  const columns = Math.max(...checks.map(({ name }) => name.length));
  const findings = await runChecks(checks, {
    onFinding: (finding) => json || print(findingText(finding, columns, showsColors())),
    signal,
  });
  const summary = summarize(findings);
  print(
    json
      ? JSON.stringify({ checks: findings.map(withOldKey), summary }, null, 2) + "\n"
      : summaryText(summary),
  );
  return summary.fail > 0 ? EXIT_FAILED : 0;
}

/** `mend` is what `fix` was called; it goes with the next version. */
function withOldKey(finding: NamedFinding): NamedFinding & { mend?: string } {
  return finding.fix === undefined ? finding : { ...finding, mend: finding.fix };
}
