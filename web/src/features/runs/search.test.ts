import { expect, it } from "vitest";
import { readRunSearch, toQuery } from "./search";

it("keeps filters it knows and leaves out what it does not", () => {
  expect(
    readRunSearch({ state: ["failed", "lost"], task: "mail.send", q: 1042, period: "h1", nonsense: "x", worker: {} }),
  ).toEqual({ state: ["failed", "lost"], task: ["mail.send"], q: "1042", period: "h1" });
});

it("asks for the last day unless the address says otherwise", () => {
  expect(toQuery({ state: ["failed"] })).toEqual({ state: ["failed"], since: "-24h" });
  expect(toQuery({ period: "all" })).toEqual({});
});

it("ignores a period that does not exist", () => {
  expect(readRunSearch({ period: "toString" })).toEqual({});
});
