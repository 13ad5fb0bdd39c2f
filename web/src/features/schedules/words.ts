import type { TFunction } from "i18next";
import type { Schedule } from "../../api/queries";
import { age } from "../../ui/format";

/** What a schedule means, in words where that is easy: "every 5 min", "daily at 02:30"; else its own expression. */
export function words(schedule: Pick<Schedule, "kind" | "expression">, t: TFunction, language: string): string {
  const { kind, expression } = schedule;
  if (kind === "interval") {
    const length = Number(expression);
    return Number.isFinite(length) && length > 0 ? t("schedule.every", { age: length < 1 ? `${length} s` : age(length, language) }) : expression;
  }
  if (kind !== "cron") return expression;
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 5) return expression;
  const [minute = "", hour = "", day, month, weekday] = fields;
  if (day !== "*" || month !== "*" || weekday !== "*") return expression;
  const step = /^\*\/(\d+)$/.exec(minute);
  if (hour === "*" && minute === "*") return t("schedule.every", { age: age(60, language) });
  if (hour === "*" && step && 60 % Number(step[1]) === 0) return t("schedule.every", { age: age(60 * Number(step[1]), language) });
  if (!/^\d+$/.test(minute)) return expression;
  if (hour === "*") return t("schedule.hourly", { minute: minute.padStart(2, "0") });
  if (/^\d+$/.test(hour)) return t("schedule.daily", { at: `${hour.padStart(2, "0")}:${minute.padStart(2, "0")}` });
  return expression;
}

/** The address of a schedule's own page. */
export function params(schedule: Pick<Schedule, "service" | "framework" | "id">) {
  return { service: schedule.service, framework: schedule.framework, scheduleId: schedule.id };
}
