import type { FunnelStep } from "../../api/queries";

export interface Bar {
  step: string;
  reached: number;
  /** Width in percent of the widest step. */
  width: number;
  conversion: number | null;
  dropped: number;
  /** Share of those at the step before that did not get here; null for the first, and where nobody was there. */
  lost: number | null;
  /** Whether more were lost here than at any other step. */
  worst: boolean;
}

/** What to draw of a funnel. A later step can be reached by more than entered: they entered before the window began. */
export function barsOf(steps: readonly FunnelStep[]): Bar[] {
  const widest = Math.max(1, ...steps.map((step) => step.reached));
  const most = Math.max(0, ...steps.map((step) => step.dropped));
  const worst = steps.findIndex((step) => most > 0 && step.dropped === most);
  return steps.map((step, index) => ({
    step: step.step,
    reached: step.reached,
    width: (100 * step.reached) / widest,
    conversion: step.conversion,
    dropped: step.dropped,
    lost: step.from_previous === null ? null : Math.max(0, 1 - step.from_previous),
    worst: index === worst,
  }));
}
