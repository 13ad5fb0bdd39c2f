import { expect, it } from "vitest";
import { fullOf, moved, rowsOf, strength, type Row } from "./scale";

const row = (name: string, ...values: (number | null)[]): Row => ({ name, note: "", values });

it("leaves out rows of which nothing is known, and the low ones where there are too many", () => {
  const rows = [row("a", 1, null), row("b", null, null), row("c", 0, 9), row("d", 3, 2)];
  expect(rowsOf(rows).map((each) => each.name)).toEqual(["a", "c", "d"]);
  expect(rowsOf(rows, 2).map((each) => each.name)).toEqual(["c", "d"]);
});

it("draws a quiet process cold, and the highest full", () => {
  expect(fullOf([row("a", 0.02)], "cpu")).toBe(1);
  expect(fullOf([row("a", 2.5)], "cpu")).toBe(2.5);
  expect(fullOf([row("a", 300), row("b", 900)], "memory_bytes")).toBe(900);
  expect(fullOf([], "memory_bytes")).toBe(1);
});

it("never draws something as nothing", () => {
  expect([0, 0.001, 0.5, 1, 2].map((value) => strength(value, 1))).toEqual([0, 4, 50, 100, 100]);
});

it("moves by arrow keys and stays inside", () => {
  const at = { row: 0, column: 5 };
  expect(moved(at, "ArrowUp", 3, 10)).toEqual({ row: 0, column: 5 });
  expect(moved(at, "ArrowDown", 3, 10)).toEqual({ row: 1, column: 5 });
  expect(moved(at, "ArrowLeft", 3, 10)).toEqual({ row: 0, column: 4 });
  expect(moved(at, "End", 3, 10)).toEqual({ row: 0, column: 9 });
  expect(moved(at, "Tab", 3, 10)).toBeNull();
});
