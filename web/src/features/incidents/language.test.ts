// @vitest-environment jsdom
import { act, renderHook } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import i18n, { chooseLanguage } from "../../i18n";
import { said, useSaid } from "./language";

const incident = {
  title: "orders.pay: failure ratio 60 % (> 20 %)",
  title_zh: "orders.pay：失败率 60 %（> 20 %）",
  summary: "Failure ratio of orders.pay is 60 %.",
  summary_zh: "orders.pay 的失败率为 60 %。",
};

afterEach(() => act(() => chooseLanguage("en")));

it("takes the text of the language", () => {
  expect(said(incident, "title", "en")).toBe(incident.title);
  expect(said(incident, "title", "zh")).toBe(incident.title_zh);
  expect(said(incident, "summary", "zh-CN")).toBe(incident.summary_zh);
});

it("takes English where the server does not speak the language", () => {
  expect(said(incident, "summary", "de")).toBe(incident.summary);
});

it("follows the choice of the page", () => {
  const { result } = renderHook(() => useSaid());
  expect(result.current(incident, "title")).toBe(incident.title);
  act(() => chooseLanguage("zh"));
  expect(i18n.language).toBe("zh");
  expect(result.current(incident, "title")).toBe(incident.title_zh);
});
