// @vitest-environment jsdom
import { afterEach, expect, it } from "vitest";
import { Problem } from "../api/client";
import i18n, { chooseLanguage } from "../i18n";
import { problemText } from "./problem";

afterEach(() => chooseLanguage("en"));

it("says in the page's language that the server was not reached, whatever the browser calls that", () => {
  expect(problemText(i18n.t, new TypeError("Failed to fetch"))).toBe("The server cannot be reached.");
  chooseLanguage("zh");
  expect(problemText(i18n.t, new TypeError("Failed to fetch"))).toBe("无法连接到服务器。");
});

it("keeps the words of the server, and names the status where there are none", () => {
  expect(problemText(i18n.t, new Problem(422, "Invalid", "limit: expected a number"))).toBe("limit: expected a number");
  expect(problemText(i18n.t, new Problem(502, "", ""))).toBe("The server answered with status 502.");
});
