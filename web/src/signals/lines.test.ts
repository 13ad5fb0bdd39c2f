import { expect, it } from "vitest";
import { foremost, together, type Series } from "./lines";

const series = (values: Record<string, (number | null)[]>): Series[] =>
  Object.entries(values).map(([queue, points]) => ({ labels: { queue }, points: points.map((value, at) => [at, value]) }));
const names = (kept: Series[]) => kept.map((each) => each.labels.queue);

it("keeps the highest and their order", () => {
  expect(names(foremost(series({ a: [9, 1], b: [0, 7], c: [0, 5] }), 2))).toEqual(["b", "c"]);
});

it("judges a line by its latest known value, and one without any last", () => {
  expect(names(foremost(series({ a: [null, null], b: [3, null], c: [0, 1] }), 2))).toEqual(["b", "c"]);
});

it("leaves few lines alone", () => {
  expect(names(foremost(series({ a: [null], b: [1] }), 6))).toEqual(["a", "b"]);
});

it("puts points of answers that came a moment apart together", () => {
  const first = [[60, 1], [120, null], [180, 3]];
  const later = [[120.02, 5], [180.02, 6]];
  expect(together([first, later, []])).toEqual({ times: [60, 120, 180], values: [[1, null, 3], [null, 5, 6], [null, null, null]] });
});
