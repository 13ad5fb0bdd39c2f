// @vitest-environment jsdom
import { afterEach, expect, it } from "vitest";
import i18n, { chooseLanguage } from "../../i18n";
import { headline } from "./headline";

const LOST = {
  type: "lost",
  title: "lost: the process of worker w@h is gone",
  reason: "the process of worker w@h is gone",
  reason_code: "process_gone",
  reason_params: { worker: "w@h" },
};

afterEach(() => chooseLanguage("en"));

it("says why runs were lost in the language of the page", () => {
  expect(headline(i18n.t, LOST)).toBe(LOST.title);
  chooseLanguage("zh");
  expect(headline(i18n.t, LOST)).toBe("丢失：worker w@h 的进程已经不在");
});

it("keeps the words of exceptions and of others, and leaves modules out", () => {
  const raised = { type: "shop.pay.Declined", title: "shop.pay.Declined: no", reason: "", reason_code: "", reason_params: {} };
  chooseLanguage("zh");
  expect(headline(i18n.t, raised)).toBe("Declined: no");
  expect(headline(i18n.t, { ...LOST, reason: "gone fishing", reason_code: "", reason_params: {} })).toBe("丢失：gone fishing");
});
