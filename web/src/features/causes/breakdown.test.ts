import { describe, expect, it } from "vitest";
import { OWN, REST, breakdownOf, coloured, folded, wholeOf } from "./breakdown";

const part = (component: string, covered_s: unknown, more: Record<string, unknown> = {}) => ({ component, covered_s, ...more });

describe("a breakdown", () => {
  it("is the greatest part first, with own code as what is left", () => {
    const seen = breakdownOf({ total_s: 1, own_s: 0.2, parts: [part("redis", 0.1), part("database", 0.7, { calls: 3, max_s: 0.6 })] });
    expect(seen?.slices.map((slice) => slice.component)).toEqual(["database", "redis", OWN]);
    expect(seen?.slices[2]?.covered_s).toBeCloseTo(0.2);
    expect(seen?.slices[0]).toMatchObject({ calls: 3, max_s: 0.6, errors: 0 });
  });

  it("is never more than a whole, whatever was told", () => {
    const seen = breakdownOf({ total_s: 1, parts: [part("database", 0.9), part("http", 0.6)] });
    expect(seen?.total_s).toBeCloseTo(1.5);
    expect(seen?.slices.some((slice) => slice.component === OWN)).toBe(false);
  });

  it.each([null, 7, "x", [], {}, { parts: 3 }, { total_s: 0, parts: [] }, { total_s: Number.NaN, parts: [] }])("of %j is none", (told) => {
    expect(breakdownOf(told)).toBeNull();
  });

  it("leaves out parts that cannot be read", () => {
    const seen = breakdownOf({ total_s: 1, parts: [part("", 0.1), part("http", "0.5"), part("http", -1), null, part("smtp", 0.25)] });
    expect(seen?.slices.map((slice) => slice.component)).toEqual(["smtp", OWN]);
  });
});

describe("the whole time", () => {
  it("begins with the wait in the queue", () => {
    const slices = wholeOf({ total_s: 1, parts: [part("database", 0.7)] }, 1, 2);
    expect(slices.map((slice) => [slice.component, slice.covered_s.toFixed(1)])).toEqual([["queue", "2.0"], ["database", "0.7"], [OWN, "0.3"]]);
  });

  it("is own code where nothing was told", () => {
    expect(wholeOf(null, 1.5, 0)).toMatchObject([{ component: OWN, covered_s: 1.5 }]);
    expect(wholeOf(null, 0, 0)).toEqual([]);
  });
});

describe("folding", () => {
  const slices = breakdownOf({ total_s: 1, parts: ["a", "b", "c", "d"].map((name, at) => part(name, 0.2 - at / 100)) })?.slices ?? [];

  it("keeps the sum", () => {
    const few = folded(slices, 2);
    expect(few.map((slice) => slice.component)).toEqual(["a", "b", REST, OWN]);
    expect(few.reduce((sum, slice) => sum + slice.covered_s, 0)).toBeCloseTo(1);
  });

  it("leaves few as they are", () => {
    expect(folded(slices, 4)).toEqual(slices);
  });
});

describe("colours", () => {
  it("tell parts of one component apart and stay with their part", () => {
    const told = { total_s: 3, parts: [part("database", 1, { target: "orders" }), part("database", 0.5, { target: "customers" })] };
    const slices = breakdownOf(told)?.slices ?? [];
    const colours = coloured([...slices, ...slices]);
    expect(new Set(colours.values()).size).toBe(3);
    expect(colours.get(OWN)).toBe("#868e96");
  });
});
