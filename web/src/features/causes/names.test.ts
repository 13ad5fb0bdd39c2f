// @vitest-environment jsdom
import { expect, it } from "vitest";
import i18n from "../../i18n";
import { partName } from "./BreakdownBar";

it("says to what a connection was waited for", () => {
  const part = { component: "pool", operation: "connect", target: "orders.sqlite3" };
  expect(partName(part, i18n.getFixedT("en"))).toBe("waiting for a connection to orders.sqlite3");
  expect(partName(part, i18n.getFixedT("zh"))).toBe("等待到 orders.sqlite3 的连接");
  expect(partName({ ...part, target: "" }, i18n.getFixedT("en"))).toBe("waiting for a connection");
});

it("says who held the event loop", () => {
  const part = { component: "event_loop", operation: "", target: "GET /report" };
  expect(partName(part, i18n.getFixedT("en"))).toBe("waiting while GET /report held the event loop");
  expect(partName(part, i18n.getFixedT("zh"))).toBe("等待被 GET /report 占住的事件循环");
  expect(partName({ ...part, target: "" }, i18n.getFixedT("en"))).toBe("waiting for the event loop");
});
