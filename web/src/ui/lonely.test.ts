import { expect, it } from "vitest";
import { lonely } from "./lonely";

it("finds the values that no line leads to", () => {
  expect(lonely([null, 1, null, 2, 3, null, 4])).toEqual([1, 6]);
  expect(lonely([0])).toEqual([0]);
  expect(lonely([])).toEqual([]);
});
