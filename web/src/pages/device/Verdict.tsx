import type { Reading } from "../../api/contract.ts";
import { VerdictBadge } from "../../ui/words.tsx";

/** The verdict and its reason: failed rules, or the way of the estimate. */
export function Verdict({ reading }: { reading: Reading }) {
  const reason = reading.estimation_method ?? reading.failed_rules.join(", ");
  return (
    <span className="row">
      <VerdictBadge verdict={reading.verdict} />
      {reason !== "" && <span className="small muted">{reason.replaceAll("_", " ").toLowerCase()}</span>}
    </span>
  );
}
