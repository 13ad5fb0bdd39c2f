import { Tooltip } from "@mantine/core";
import { useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { ageSeconds, clock, exactTime, roughAge, seconds } from "./format";

const listeners = new Set<() => void>();
let now = Date.now();
setInterval(() => {
  now = Date.now();
  for (const listener of listeners) listener();
}, 1_000);

/** The time now, in milliseconds, ticking once a second for the whole page. */
export function useNow(): number {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => now,
  );
}

/** "12 s ago", "14 min ago", with the exact time on hover. */
export function Ago({ at }: { at: string | null | undefined }) {
  const { t, i18n } = useTranslation();
  const current = useNow();
  if (!at) return <>–</>;
  const passed = ageSeconds(at, current);
  const text = passed < 1.5 ? t("ago.now") : t("ago.ago", { age: roughAge(passed, i18n.language) });
  return (
    <Tooltip label={exactTime(at, i18n.language)} openDelay={300}>
      <span className="num">{text}</span>
    </Tooltip>
  );
}

/** How long something has lasted that began then: "1 min 20 s", ticking. */
export function Elapsed({ since }: { since: string | null | undefined }) {
  const { i18n } = useTranslation();
  const current = useNow();
  if (!since) return <>–</>;
  const passed = ageSeconds(since, current);
  return (
    <Tooltip label={exactTime(since, i18n.language)} openDelay={300}>
      <span className="num">{passed < 1 ? "< 1 s" : seconds(Math.floor(passed))}</span>
    </Tooltip>
  );
}

/** A time of day where the reader is; date and zone on hover, for summaries speak of UTC. */
export function Clock({ at }: { at: string | null | undefined }) {
  const { i18n } = useTranslation();
  if (!at) return <span className="num">{clock(at, i18n.language)}</span>;
  return (
    <time className="num" dateTime={at} title={exactTime(at, i18n.language)}>
      {clock(at, i18n.language)}
    </time>
  );
}
