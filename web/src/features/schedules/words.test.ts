import type { TFunction } from "i18next";
import { expect, it } from "vitest";
import { words } from "./words";

const t = ((key: string, values: Record<string, string>) => `${key} ${Object.values(values).join(" ")}`) as unknown as TFunction;
const said = (kind: "cron" | "interval" | "date", expression: string) => words({ kind, expression }, t, "en");

it("says what is easily said, and shows the expression of the rest", () => {
  expect(said("interval", "90.0")).toBe("schedule.every 1 min 30 s");
  expect(said("interval", "0.5")).toBe("schedule.every 0.5 s");
  expect(said("cron", "* * * * *")).toBe("schedule.every 1 min");
  expect(said("cron", "*/15 * * * *")).toBe("schedule.every 15 min");
  expect(said("cron", "5 * * * *")).toBe("schedule.hourly 05");
  expect(said("cron", "30 2 * * *")).toBe("schedule.daily 02:30");
  // Every 7 minutes is not what */7 does at the end of the hour.
  expect(said("cron", "*/7 * * * *")).toBe("*/7 * * * *");
  expect(said("cron", "30 2 * * 1")).toBe("30 2 * * 1");
  expect(said("cron", "<crontab: 0 0 fri 13 *>")).toBe("<crontab: 0 0 fri 13 *>");
  expect(said("interval", "about a day")).toBe("about a day");
});
