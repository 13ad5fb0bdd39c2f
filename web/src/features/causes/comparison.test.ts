import { expect, it } from "vitest";
import type { CauseExample } from "../../api/queries";
import { OWN } from "./breakdown";
import { compare, evidenceOf } from "./comparison";

const part = (component: string, slow_s: number, typical_s: number) => ({ component, operation: "", target: "", slow_s, typical_s });

it("draws both of the same parts on one scale, the wait first and own code last", () => {
  const { slow, typical, scale_s } = compare([part("database", 2.5, 0.01), part(OWN, 0.5, 0.04), part("redis", 0.1, 0.02), part("queue", 0.1, 0.1)]);
  expect(slow.map((one) => one.component)).toEqual(["queue", "database", "redis", OWN]);
  expect(typical.map((one) => one.key)).toEqual(slow.map((one) => one.key));
  expect(typical.map((one) => one.covered_s)).toEqual([0.1, 0.01, 0.02, 0.04]);
  expect(scale_s).toBeCloseTo(3.2);
});

it("shows each example once, those of the first cause first, six at most", () => {
  const examples = (...ids: string[]) => ({ evidence: ids.map((id) => ({ id }) as CauseExample) });
  expect(evidenceOf([examples("b", "a"), examples("a", "c", "d", "e", "f", "g")]).map((one) => one.id)).toEqual(["b", "a", "c", "d", "e", "f"]);
});
