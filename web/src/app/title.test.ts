// @vitest-environment jsdom
import { afterEach, expect, it } from "vitest";
import i18n, { chooseLanguage } from "../i18n";
import { titleOf } from "./title";

afterEach(() => chooseLanguage("en"));

it.each([
  ["/", {}, "Overview · Huoyan"],
  ["/runs", {}, "Runs · Huoyan"],
  ["/runs/0b9e%2F1", {}, "0b9e/1 · Runs · Huoyan"],
  ["/incidents/12", {}, "#12 · Incidents · Huoyan"],
  ["/tasks/one", { task: "orders.pay" }, "orders.pay · Tasks · Huoyan"],
  ["/endpoints", { method: "GET", endpoint: "/orders/{id}" }, "GET /orders/{id} · Services · Huoyan"],
  ["/dependencies/orders/database", {}, "Database orders · Dependencies · Huoyan"],
  ["/nowhere/%E0%A4%A", {}, "%E0%A4%A · There is no such page. · Huoyan"],
])("calls %s by its thing first", (path, search, title) => {
  expect(titleOf(i18n.t, path, search)).toBe(title);
});

it("speaks the language of the page", () => {
  chooseLanguage("zh");
  expect(titleOf(i18n.t, "/incidents", {})).toBe("事件 · 火眼");
});
