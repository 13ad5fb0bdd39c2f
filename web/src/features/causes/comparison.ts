import type { CauseExample, Cause, Compared } from "../../api/queries";
import { OWN, QUEUE, keyOf, type Slice } from "./breakdown";

/** A slow one and a typical one side by side, made of the same parts in the same order. */
export interface Comparison {
  slow: Slice[];
  typical: Slice[];
  scale_s: number;
}

export function compare(parts: Compared["parts"]): Comparison {
  // As in the bar of a single one: the wait in the queue first, own code last.
  const place = (part: Compared["parts"][number]) => (part.component === QUEUE ? 0 : part.component === OWN ? 2 : 1);
  const order = [...parts].sort((a, b) => place(a) - place(b));
  const side = (of: "slow_s" | "typical_s") => order.map((part) => slice(part, part[of]));
  const [slow, typical] = [side("slow_s"), side("typical_s")];
  const sum = (slices: Slice[]) => slices.reduce((total, one) => total + one.covered_s, 0);
  return { slow, typical, scale_s: Math.max(sum(slow), sum(typical)) };
}

function slice({ component, operation, target }: Compared["parts"][number], covered_s: number): Slice {
  const key = component === OWN ? OWN : keyOf(component, operation, target);
  return { key, component, operation, target, covered_s: Math.max(0, covered_s), total_s: null, max_s: null, calls: null, errors: 0 };
}

const MOST_EXAMPLES = 6;

/** The examples that the causes name, those of the first cause first, each once. */
export function evidenceOf(causes: readonly Pick<Cause, "evidence">[]): CauseExample[] {
  const found = new Map<string, CauseExample>();
  for (const example of causes.flatMap((cause) => cause.evidence)) if (!found.has(example.id)) found.set(example.id, example);
  return [...found.values()].slice(0, MOST_EXAMPLES);
}
