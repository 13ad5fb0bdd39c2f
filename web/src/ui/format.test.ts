import { describe, expect, it } from "vitest";
import { age, ageSeconds, bytes, count, exactTime, percent, quantity, rate, relativeSeconds, roughAge, seconds, share, shortType } from "./format";

describe("seconds", () => {
  it.each([
    [null, "–"],
    [Number.NaN, "–"],
    [0, "0 s"],
    [0.0000123, "12 µs"],
    [0.0123, "12.3 ms"],
    [0.95, "950 ms"],
    [1, "1 s"],
    [3.216, "3.22 s"],
    [59.94, "59.9 s"],
    [95, "1 min 35 s"],
    [119.7, "2 min"],
    [3 * 3600 + 120, "3 h 2 min"],
    [90_000, "1 d 1 h"],
  ])("shows %s as %s", (value, text) => expect(seconds(value)).toBe(text));
});

describe("percent", () => {
  it.each([
    [null, "–"],
    [0, "0 %"],
    [0.0004, "< 0.1 %"],
    [0.0312, "3.1 %"],
    [0.625, "63 %"],
    [1, "100 %"],
  ])("shows %s as %s", (value, text) => expect(percent(value)).toBe(text));
});

describe("count", () => {
  it.each([
    [undefined, "–"],
    [0, "0"],
    [9999, "9999"],
    [12_345, "12.3 k"],
    [2_500_000, "2.5 M"],
    [7.126, "7.13"],
  ])("shows %s as %s", (value, text) => expect(count(value)).toBe(text));
});

it("shows a quantity in the unit its signal declares", () => {
  expect(quantity(0.5, "s")).toBe("500 ms");
  expect(quantity(0.5, "ratio")).toBe("50 %");
  expect(quantity(2048, "bytes")).toBe("2 KiB");
  expect(quantity(12, "1/min")).toBe("12");
});

it("never shows zero for what is not known", () => {
  for (const show of [seconds, percent, count, bytes]) expect(show(null)).toBe("–");
});

it("never gives a negative age when the reader's clock is behind", () => {
  expect(ageSeconds("2026-11-20T21:00:10Z", Date.parse("2026-11-20T21:00:00Z"))).toBe(0);
});

it("shows the class of an exception without its module", () => {
  expect(shortType("shop.payments.ProviderDown")).toBe("ProviderDown");
  expect(shortType("TimeoutError")).toBe("TimeoutError");
  expect(shortType("odd.")).toBe("odd.");
});

it("knows how far back a relative time reaches", () => {
  expect([relativeSeconds("-30s"), relativeSeconds("-15m"), relativeSeconds("-24h"), relativeSeconds("-7d")]).toEqual([30, 900, 86_400, 604_800]);
});

it("tells an age in the reader's language", () => {
  expect(age(95.4, "en")).toBe("1 min 35 s");
  expect(age(95.4, "zh")).toBe("1 分 35 秒");
  expect(age(120, "zh")).toBe("2 分钟");
  expect(age(3 * 3600 + 120, "zh")).toBe("3 小时 2 分");
  expect(age(90_000, "zh")).toBe("1 天 1 小时");
  expect(age(12, "zh")).toBe("12 秒");
});

it("says how much is done, within the whole", () => {
  expect(share({ done: 30, total: 120 })).toBe(25);
  expect(share({ done: 500, total: 100 })).toBe(100);
  expect(share({ done: -5, total: 100 })).toBe(0);
  expect(share({ done: null, total: 100 })).toBe(0);
  expect(share({ done: 5, total: null })).toBe(0);
});

it("reads a rate of less than one a second by the minute", () => {
  expect([7.25, 1, 0.2, 0.0001, 0, null].map(rate)).toEqual(["7.25 /s", "1 /s", "12 /min", "< 0.01 /min", "0 /min", "–"]);
});

it.each([
  [0.4, "0 s", "0 秒"],
  [35, "35 s", "35 秒"],
  [60, "1 min", "1 分钟"],
  [887, "14 min", "14 分钟"],
  [3600, "1 h", "1 小时"],
  [13_000, "3 h", "3 小时"],
  [200_000, "2 d", "2 天"],
])("says %d s ago in the largest unit", (value, english, chinese) => {
  expect(roughAge(value, "en")).toBe(english);
  expect(roughAge(value, "zh")).toBe(chinese);
});

it("tells a moment whole with its zone", () => {
  expect(exactTime("2026-11-28T17:42:31.140Z", "en", "Asia/Shanghai")).toMatch(/29 Nov 2026.*01:42:31 GMT\+8/);
  expect(exactTime("2026-11-28T17:42:31.140Z", "zh", "UTC")).toMatch(/2026年11月28日.*17:42:31/);
  expect(exactTime("no time", "en")).toBe("–");
});
