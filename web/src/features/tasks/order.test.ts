import { expect, it } from "vitest";
import type { Task } from "../../api/queries";
import { ordered, readOneTaskSearch, readTaskSearch, turned } from "./order";

const task = (name: string, p95_s: number | null, runs = 1) => ({ task: name, service: "orders", p95_s, runs }) as Task;
const tasks = [task("b", null, 5), task("c", 0.2, 5), task("a", 3, 1)];
const names = (list: Task[]) => list.map((each) => each.task);

it("puts what was not measured last, whichever way it is sorted", () => {
  expect(names(ordered(tasks, "p95_s", false))).toEqual(["a", "c", "b"]);
  expect(names(ordered(tasks, "p95_s", true))).toEqual(["c", "a", "b"]);
});

it("orders equals by name", () => {
  expect(names(ordered(tasks, "runs", false))).toEqual(["b", "c", "a"]);
});

it("starts a column with the most, names with A, and turns it on the second click", () => {
  expect(turned({}, "p95_s")).toEqual({ by: "p95_s" });
  expect(turned({ by: "p95_s" }, "p95_s")).toEqual({ by: "p95_s", up: true });
  expect(turned({ by: "p95_s", up: true, window: "d1" }, "p95_s")).toEqual({ by: "p95_s", window: "d1" });
  expect(turned({}, "task")).toEqual({ by: "task", up: true });
  expect(turned({}, "runs")).toEqual({ by: "runs", up: true });
});

it("reads from the address only what exists", () => {
  expect(readTaskSearch({ window: "d1", by: "p99_s", up: true })).toEqual({ window: "d1", by: "p99_s", up: true });
  expect(readTaskSearch({ window: "d9", by: "constructor", up: "yes" })).toEqual({});
});

it("reads which task is meant, a name of digits too", () => {
  expect(readOneTaskSearch({ task: 7, service: "", window: "w1" })).toEqual({ task: "7" });
  expect(readOneTaskSearch({ task: "orders.pay", service: "orders", window: "d1" })).toEqual({ task: "orders.pay", service: "orders", window: "d1" });
});
