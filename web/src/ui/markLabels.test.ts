import { expect, it } from "vitest";
import { labelPlaces } from "./markLabels";

const at = (x: number, wide = 40) => ({ x, wide });

it("puts words to the right of their line, at the edge to the left", () => {
  expect(labelPlaces([at(100), at(200)], 0, 300)).toEqual([100, 200]);
  expect(labelPlaces([at(280)], 0, 300)).toEqual([240]);
});

it("leaves out what would run into another line or other words", () => {
  expect(labelPlaces([at(100), at(110)], 0, 300)).toEqual([60, 110]);
  expect(labelPlaces([at(100), at(110), at(120)], 0, 300)).toEqual([60, null, 120]);
  expect(labelPlaces([at(10), at(20)], 0, 300)).toEqual([null, 20]);
});

it("keeps words that were moved to the left apart from those before them", () => {
  // To the left of the last line there is another one, and to the right of that the last line.
  expect(labelPlaces([at(255), at(290)], 0, 300)).toEqual([215, null]);
  expect(labelPlaces([at(200), at(290)], 0, 300)).toEqual([200, 250]);
});

it("never lets two words overlap, wherever lines stand", () => {
  for (let seed = 1; seed < 400; seed++) {
    const marks = Array.from({ length: 6 }, (_, index) => at((seed * (index + 3) * 37) % 300, 20 + ((seed * 13 + index * 29) % 60)));
    const taken = labelPlaces(marks, 0, 300)
      .flatMap((from, index) => (from === null ? [] : [{ from, to: from + (marks[index]?.wide ?? 0) }]))
      .sort((a, b) => a.from - b.from);
    let free = 0;
    for (const each of taken) {
      expect(each.from).toBeGreaterThanOrEqual(free);
      free = each.to;
    }
    expect(free).toBeLessThanOrEqual(300);
  }
});
