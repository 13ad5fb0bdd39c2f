import { Text } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { useGaps } from "../../api/queries";
import { deafSeconds } from "../../signals/bands";
import { age, relativeSeconds } from "../../ui/format";
import { Clock, useNow } from "../../ui/time";
import { reasonText } from "../../ui/reason";

/** The most gaps that are listed one by one; the newest come first. */
const MOST = 20;

export interface GapNoteProps {
  /** What the list looks back on: relative (`-1h`), RFC 3339, or everything. */
  since: string | undefined;
  /** Where it ends, RFC 3339; now by default. */
  until?: string | undefined;
  /** What the list is of: what may be wrong with it depends on that. */
  of?: "runs" | "run" | "workers" | "queues" | "schedules" | "failures" | "incidents" | "figures" | "causes";
  /** What its period is called where the page offers no choice of one. */
  period?: "this" | "h1" | "d1" | "shown" | "run";
}

/** Says that a list is of a period in which something could not be heard, when that was, and what it may mean for the list. */
export function GapNote({ since, until, of = "runs", period = "this" }: GapNoteProps) {
  const { t, i18n } = useTranslation();
  const nowMs = useNow();
  const gaps = useGaps(since, until);
  const items = gaps.data?.items ?? [];
  if (items.length === 0) return null;
  const end = until === undefined ? nowMs / 1000 : Date.parse(until) / 1000;
  const deaf = deafSeconds(items, beginning(since, nowMs / 1000), end);
  return (
    <Text component="details" size="sm" c="dimmed" mb="xs" data-testid="gap-note" data-of={of}>
      <summary style={{ cursor: "pointer" }}>
        <span className="hatched" aria-hidden />{" "}
        {t("gap.note", { count: items.length, time: age(Math.max(1, Math.round(deaf)), i18n.language), period: t(`gap.period.${period}`) })} {t(`gap.may.${of}`)}
      </summary>
      <ul style={{ margin: "4px 0", paddingInlineStart: 24 }}>
        {items.slice(0, MOST).map((gap) => (
          <li key={`${gap.source} ${gap.started_at}`} style={{ overflowWrap: "anywhere" }}>
            {gap.source}: <Clock at={gap.started_at} /> – {gap.ended_at === null ? t("gap.now") : <Clock at={gap.ended_at} />} {reasonText(t, gap)}
          </li>
        ))}
      </ul>
    </Text>
  );
}

/** When a period begins, seconds since 1970. */
function beginning(since: string | undefined, now: number): number {
  if (since === undefined) return 0;
  return since.startsWith("-") ? now - relativeSeconds(since) : Date.parse(since) / 1000;
}
