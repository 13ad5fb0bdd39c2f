import { expect, it } from "vitest";
import { foremost, type Series } from "./lines";

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
