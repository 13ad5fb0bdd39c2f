import { expect, it } from "vitest";
import { pointsOf } from "./Sparkline";

it("stands on zero and reaches the top with its greatest value", () => {
  expect(pointsOf([0, 5, 10], 100, 26)).toBe("0.0,25.0 50.0,13.5 100.0,2.0");
});

it("is flat where nothing happened", () => {
  expect(pointsOf([0, 0], 100, 26)).toBe("0.0,25.0 100.0,25.0");
  expect(pointsOf([], 100, 26)).toBe("");
});
