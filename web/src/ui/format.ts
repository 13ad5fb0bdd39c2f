/** Numbers as people read them. Pure, so that every rounding decision has a test. */

/** 0.0123 → "12.3 ms", 95 → "1 min 35 s". `null` is unknown, shown as a dash, never as zero. */
export function seconds(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value < 0.001) return value === 0 ? "0 s" : `${Math.max(1, Math.round(value * 1e6))} µs`;
  if (value < 1) return `${significant(value * 1e3)} ms`;
  if (value < 60) return `${significant(value)} s`;
  const whole = Math.round(value);
  if (whole < 3600) return inTwo(Math.floor(whole / 60), "min", whole % 60, "s");
  if (whole < 86_400) return inTwo(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  return inTwo(Math.floor(whole / 86_400), "d", Math.floor((whole % 86_400) / 3600), "h");
}

/** "1 min 35 s", and "1 min" where nothing is left over. */
function inTwo(large: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${large} ${unit}` : `${large} ${unit} ${rest} ${restUnit}`;
}

/** An age in whole seconds as a sentence holds it: "1 min 35 s", in Chinese "1 分 35 秒". */
export function age(value: number, language: string): string {
  const text = seconds(Math.round(value));
  if (language !== "zh") return text;
  // A number of minutes alone is 分钟; 分 stands before seconds and after hours.
  return text.replace(" d", " 天").replace(" h", " 小时").replace(/^(\d+) min$/, "$1 分钟").replace(" min", " 分").replace(" s", " 秒");
}

/** How long ago, in its largest unit: "35 s", "14 min", "3 h"; the exact time stands where one points. */
export function roughAge(value: number, language: string): string {
  const whole = Math.round(value);
  const unit = [86_400, 3600, 60, 1].find((each) => whole >= each) ?? 1;
  return age(Math.floor(whole / unit) * unit, language);
}

/** 0.0312 → "3.1 %". */
export function percent(ratio: number | null | undefined): string {
  if (ratio === null || ratio === undefined || !Number.isFinite(ratio)) return "–";
  const value = ratio * 100;
  if (value === 0) return "0 %";
  if (value < 0.1) return "< 0.1 %";
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

/** 12345 → "12.3 k". */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size < 10_000) return Number.isInteger(value) ? String(value) : significant(value);
  if (size < 1e6) return `${significant(value / 1e3)} k`;
  if (size < 1e9) return `${significant(value / 1e6)} M`;
  return `${significant(value / 1e9)} G`;
}

/** How often, given per second: 7.2 → "7.2 /s", 0.2 → "12 /min": a rate of less than one a second is read by the minute. */
export function rate(perSecond: number | null | undefined): string {
  if (perSecond === null || perSecond === undefined || !Number.isFinite(perSecond)) return "–";
  if (perSecond >= 1) return `${count(perSecond)} /s`;
  const perMinute = perSecond * 60;
  return perMinute > 0 && perMinute < 0.01 ? "< 0.01 /min" : `${count(perMinute)} /min`;
}

/** "shop.payments.ProviderDown" → "ProviderDown": the module is in the traceback. */
export function shortType(type: string): string {
  return type.slice(type.lastIndexOf(".") + 1) || type;
}

/** A signal's value in its own unit. */
export function quantity(value: number | null | undefined, unit: string): string {
  if (unit === "s" || unit === "seconds") return seconds(value);
  if (unit === "ratio" || unit === "1") return percent(value);
  if (unit === "bytes" || unit === "B") return bytes(value);
  return count(value);
}

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  let left = value;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (Math.abs(left) < 1024) return `${significant(left)} ${unit}`;
    left /= 1024;
  }
  return `${significant(left)} TiB`;
}

/** Seconds since an RFC 3339 time, in whole steps a reader can use. */
export function ageSeconds(at: string, nowMs: number): number {
  return Math.max(0, (nowMs - Date.parse(at)) / 1000);
}

/** "-24h" → 86400: how far back a relative time reaches. */
export function relativeSeconds(since: string): number {
  const unit = { s: 1, m: 60, h: 3600, d: 86_400 }[since.slice(-1)] ?? 0;
  return Number(since.slice(1, -1)) * unit;
}

/** A moment whole, with the zone that it is told in: "29 Nov 2026, 01:42:31 GMT+8". */
export function exactTime(at: string, language: string, timeZone?: string): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "–";
  return new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", { dateStyle: "medium", timeStyle: "long", hourCycle: "h23", ...(timeZone ? { timeZone } : {}) }).format(date);
}

/** Clock time with the day when it is not today, in the reader's own zone. */
export function clock(at: string | null | undefined, language: string, nowMs = Date.now()): string {
  if (!at) return "–";
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "–";
  const today = new Date(nowMs).toDateString() === date.toDateString();
  return new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", {
    ...(today ? {} : { month: "short", day: "numeric" }),
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  }).format(date);
}

function significant(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return String(Math.round(value));
  if (size >= 10) return trim(value.toFixed(1));
  return trim(value.toFixed(2));
}

function trim(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** How much of a whole is done, in percent from 0 to 100. */
export function share(progress: { done: number | null; total: number | null }): number {
  if (!progress.total) return 0;
  return Math.min(100, Math.max(0, (100 * (progress.done ?? 0)) / progress.total));
}
