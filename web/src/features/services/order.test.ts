import { expect, it } from "vitest";
import { readEndpointSearch, readServiceSearch, sorted, turnedTo } from "./order";

it("puts what was not measured last, whichever way", () => {
  const rows = [{ p99: 1 }, { p99: null }, { p99: 3 }];
  expect(sorted(rows, (row) => row.p99, false).map((row) => row.p99)).toEqual([3, 1, null]);
  expect(sorted(rows, (row) => row.p99, true).map((row) => row.p99)).toEqual([1, 3, null]);
});

it("turns round on the second click and keeps the window", () => {
  expect(turnedTo({ window: "d1" }, "total_s")).toEqual({ window: "d1", by: "total_s", up: true });
  expect(turnedTo({}, "p99_s")).toEqual({ by: "p99_s" });
  expect(turnedTo({}, "endpoint")).toEqual({ by: "endpoint", up: true });
});

it("reads addresses that make no sense as the default", () => {
  expect(readServiceSearch({ by: "x", up: "yes", window: 7 })).toEqual({});
  expect(readServiceSearch({ window: "constructor" })).toEqual({});
  expect(readEndpointSearch({ service: "orders", method: "GET", endpoint: "/orders/{id}", window: "d1", more: 1 })).toEqual({
    service: "orders",
    method: "GET",
    endpoint: "/orders/{id}",
    window: "d1",
  });
});
