import { expect, it } from "vitest";
import type { Cause } from "../../api/queries";
import { REST } from "./breakdown";
import { compare } from "./comparison";

const cause = (target: string, slow_s: number, typical_s: number): Cause => ({
  service: "shop",
  endpoint: "GET /orders",
  task: "",
  component: "database",
  operation: "SELECT",
  target,
  share: 0.5,
  slow_s,
  typical_s,
  p99_s: null,
  others_p99_s: null,
  sentence: "",
  sentence_zh: "",
  evidence: [],
});

it("draws the named causes and the rest on one scale", () => {
  const { slow, typical, scale_s } = compare({ slow_mean_s: 3, typical_mean_s: 0.05 }, [cause("orders", 2.5, 0.01), cause("customers", 0.3, 0.01)]);
  expect(slow.map((one) => one.target || one.component)).toEqual(["orders", "customers", REST]);
  expect(slow.at(-1)?.covered_s).toBeCloseTo(0.2);
  expect(typical.at(-1)?.covered_s).toBeCloseTo(0.03);
  expect(scale_s).toBeCloseTo(3);
});

it("has no less than nothing as the rest when the means are not known", () => {
  const { slow } = compare({ slow_mean_s: null, typical_mean_s: null }, [cause("orders", 2, 0)]);
  expect(slow.at(-1)?.covered_s).toBe(0);
});
