import { expect, it } from "vitest";
import { axisOf, readBounds, spaced, worstOf, written } from "./scale";

it("lays values out by their logarithm and leaves out bounds that are far from all that was seen", () => {
  const axis = axisOf([[0.1, 1, 5]], [0.2, 3600]);
  expect(axis).not.toBeNull();
  expect(axis?.at(Math.sqrt(0.1))).toBeCloseTo(0.5);
  expect(axis?.high).toBeCloseTo(1.3);
  expect(axis?.at(3600)).toBe(1);
  expect(axis?.ticks).toEqual([0.1, 1]);
});

it("keeps the labels of a narrow axis apart", () => {
  const axis = axisOf([[0.0001, 100, 5]], []);
  if (axis === null) throw new Error("expected an axis");
  expect(axis.ticks).toHaveLength(7);
  const places = spaced(axis, 0.3).map((tick) => axis.at(tick));
  expect(places.length).toBeGreaterThan(1);
  for (const [index, place] of places.slice(1).entries()) expect(place - (places[index] ?? 0)).toBeGreaterThanOrEqual(0.3);
});

it("has no axis without a value", () => {
  expect(axisOf([], [])).toBeNull();
});

it("writes bounds as they are set", () => {
  expect(written([0.0009765625, 0.1, 1])).toBe("0.000976563,0.1,1");
});

it("reads bounds that are typed, and refuses what does not rise", () => {
  expect(readBounds("0.1, 0.5 1")).toBe("0.1,0.5,1");
  expect([readBounds("1,0.5"), readBounds("a"), readBounds(""), readBounds("0,1")]).toEqual([null, null, null, null]);
});

it("names the largest error", () => {
  expect(worstOf({ p50: 0.1, p95: 0.4, p99: null })).toBe(0.4);
  expect(worstOf({ p50: null, p95: null, p99: null })).toBeNull();
});
