// @vitest-environment jsdom
import { afterEach, expect, it } from "vitest";
import i18n, { chooseLanguage } from "../i18n";
import { reasonText } from "./reason";

afterEach(() => chooseLanguage("en"));

const LOST = {
  reason: "worker w@h fell silent: no report for 31 s, expected one every 10 s",
  reason_code: "worker_silent",
  reason_params: { worker: "w@h", silent: "31", interval: "10" },
};

it("says a reason of the server's own in the language of the page", () => {
  expect(reasonText(i18n.t, LOST)).toBe(LOST.reason);
  chooseLanguage("zh");
  expect(reasonText(i18n.t, LOST)).toBe("worker w@h 失去联系：已 31 秒没有报告，本应每 10 秒一次");
});

it("says a reason within a reason too, and keeps markup as text", () => {
  chooseLanguage("zh");
  const params = { source: "celery <b>", why: "Connection refused", why_code: "connection_refused" };
  expect(reasonText(i18n.t, { reason: "x", reason_code: "slot_unheard", reason_params: params })).toBe(
    "当时收不到数据：celery <b>：连接被拒绝（Connection refused）",
  );
});

it("fills in the particulars of a reason within a reason", () => {
  const params = { worker: "w", source: "worker w", why: "7 of its events were dropped", why_code: "events_dropped", why_count: "7" };
  const lost = { reason: "x", reason_code: "end_unheard", reason_params: params };
  expect(reasonText(i18n.t, lost)).toBe(
    "worker w is gone, and how this ended may not have been heard (worker w: 7 of its events were dropped)",
  );
  chooseLanguage("zh");
  expect(reasonText(i18n.t, lost)).toContain("它的 7 个事件被丢弃");
});

it("leaves the words of others, and what it does not know, as they are", () => {
  chooseLanguage("zh");
  expect(reasonText(i18n.t, { reason: "not on Sundays" })).toBe("not on Sundays");
  expect(reasonText(i18n.t, { reason: "new", reason_code: "of_a_newer_server", reason_params: {} })).toBe("new");
});
