// @vitest-environment jsdom
import { expect, it } from "vitest";
import type { Dependency } from "../../api/queries";
import i18n from "../../i18n";
import { readDependenciesSearch, readDependencySearch } from "./search";
import { nameOf, partName, reasonOf } from "./words";

const t = i18n.getFixedT("en");
const dependency = (more: Partial<Dependency>) =>
  ({ service: "orders", kind: "database", target: "", calls: 16, errors: 9, p95_before_s: 0.012, reason: null, ...more }) as Dependency;

it("names a dependency by its host, or by its kind and which one it is", () => {
  expect(nameOf(dependency({ kind: "http", target: "bank.test" }), t)).toBe("bank.test");
  expect(nameOf(dependency({ target: "db:5432/shop" }), t)).toBe("Database db:5432/shop");
  expect(nameOf(dependency({ kind: "redis" }), t)).toBe("Redis");
});

it("says why it is not good, with the figures", () => {
  expect(reasonOf(dependency({}), t)).toBe("");
  expect(reasonOf(dependency({ reason: { kind: "errors", value: 9 / 16, limit: 0.5 } }), t)).toBe("9 of 16 calls failed (56 %).");
  expect(reasonOf(dependency({ reason: { kind: "slower", value: 1.7, limit: 0.06 } }), t)).toBe("P95 is 1.7 s; in the hour before it was 12 ms.");
});

it("names parts, a request without an answer among them", () => {
  expect(partName({ operation: "COMMIT", table: "" }, t)).toBe("COMMIT");
  expect(partName({ method: "POST", http_status: "error" }, t)).toBe("POST no answer");
  expect(partName({}, t)).toBe("all calls");
});

it("ignores what an address cannot mean", () => {
  expect(readDependenciesSearch({ window: "m5", service: ["a"] })).toEqual({});
  expect(readDependencySearch({ window: "d1", target: "bank.test", part: "POST 200" })).toEqual({ window: "d1", target: "bank.test", part: "POST 200" });
});
