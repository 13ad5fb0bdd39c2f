import { expect, it } from "vitest";
import { seconds } from "./format";
import { DURATION_STEPS } from "./steps";

it("divides an axis of durations into what people count in", () => {
  const said = DURATION_STEPS.map(seconds);
  expect(said).toEqual(expect.arrayContaining(["10 ms", "250 ms", "1 s", "30 s", "1 min", "15 min", "1 h", "1 d"]));
  expect(said.filter((step) => /(min|h|d) \d/.test(step))).toEqual([]);
  expect([...DURATION_STEPS].sort((a, b) => a - b)).toEqual(DURATION_STEPS);
});
