import type { Cause, Compared } from "../../api/queries";
import { REST, keyOf, type Slice } from "./breakdown";

/** A slow one and a typical one side by side: the named causes in both, and everything else as one slice. */
export interface Comparison {
  slow: Slice[];
  typical: Slice[];
  scale_s: number;
}

export function compare(compared: Pick<Compared, "slow_mean_s" | "typical_mean_s">, causes: readonly Cause[]): Comparison {
  const slow = side(compared.slow_mean_s, causes, (cause) => cause.slow_s);
  const typical = side(compared.typical_mean_s, causes, (cause) => cause.typical_s);
  const sum = (slices: Slice[]) => slices.reduce((total, slice) => total + slice.covered_s, 0);
  return { slow, typical, scale_s: Math.max(sum(slow), sum(typical)) };
}

function side(mean_s: number | null, causes: readonly Cause[], of: (cause: Cause) => number): Slice[] {
  const parts = causes.map((cause) => slice(cause.component, cause.operation, cause.target, of(cause)));
  const named = parts.reduce((total, part) => total + part.covered_s, 0);
  return [...parts, slice(REST, "", "", Math.max(0, (mean_s ?? 0) - named))];
}

function slice(component: string, operation: string, target: string, covered_s: number): Slice {
  const key = component === REST ? REST : keyOf(component, operation, target);
  return { key, component, operation, target, covered_s: Math.max(0, covered_s), total_s: null, max_s: null, calls: null, errors: 0 };
}
